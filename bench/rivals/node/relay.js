// A relay between Twilio Media Streams and a realtime AI, as one would write it with fastify and ws.
//   AI_URL=ws://127.0.0.1:9091/v1/realtime FORMAT=pcmu|pcm PORT=0 node relay.js      prints "ready PORT"
import Fastify from 'fastify';
import websocket from '@fastify/websocket';
import WebSocket from 'ws';
import { Down, Up } from './audio.js';

const { AI_URL, FORMAT = 'pcmu', PORT = '0', OPENAI_API_KEY = 'none' } = process.env;
const converts = FORMAT === 'pcm';
const audio = converts ? { type: 'audio/pcm', rate: 24000 } : { type: 'audio/pcmu' };

const sessionUpdate = JSON.stringify({
  type: 'session.update',
  session: {
    type: 'realtime',
    output_modalities: ['audio'],
    audio: { input: { format: audio, turn_detection: { type: 'server_vad' } }, output: { format: audio } },
    instructions: 'You answer the phone. Be brief and friendly.',
  },
});

class Call {
  constructor(carrier) {
    this.carrier = carrier;
    this.streamSid = null;
    this.early = []; // caller audio before the session stands
    this.ready = false;
    this.timestamp = 0; // of the caller's latest frame
    this.responseBegan = null;
    this.item = null;
    this.marks = 0;
    if (converts) [this.up, this.down] = [new Up(), new Down()];
    this.ai = new WebSocket(AI_URL, {
      headers: { authorization: `Bearer ${OPENAI_API_KEY}` }, perMessageDeflate: false,
    });
    this.ai.on('open', () => this.ai.send(sessionUpdate));
    this.ai.on('message', (data) => this.fromAi(JSON.parse(data)));
    this.ai.on('close', () => carrier.close());
    this.ai.on('error', (error) => { console.error(error.message); carrier.close(); });
    carrier.on('message', (data) => this.fromCarrier(JSON.parse(data)));
    carrier.on('close', () => this.ai.close());
    carrier.on('error', (error) => console.error(error.message)); // close follows
  }

  append(payload) {
    this.ai.send(JSON.stringify({
      type: 'input_audio_buffer.append', audio: converts ? this.up.run(payload) : payload,
    }));
  }

  fromCarrier(message) {
    switch (message.event) {
      case 'start':
        this.streamSid = message.start.streamSid;
        break;
      case 'media':
        this.timestamp = Number(message.media.timestamp);
        if (this.ready) this.append(message.media.payload);
        else if (this.early.length < 250) this.early.push(message.media.payload);
        break;
      case 'mark':
        this.marks -= 1;
        break;
      default:
    }
  }

  fromAi(event) {
    switch (event.type) {
      case 'session.updated':
        this.ready = true;
        this.early.splice(0).forEach((payload) => this.append(payload));
        break;
      case 'response.output_audio.delta':
        this.play(event);
        break;
      case 'input_audio_buffer.speech_started':
        this.interrupt();
        break;
      default:
    }
  }

  play(event) {
    const payload = converts ? this.down.run(event.delta) : event.delta;
    const { streamSid } = this;
    this.carrier.send(JSON.stringify({ event: 'media', streamSid, media: { payload } }));
    if (this.item !== event.item_id) {
      this.item = event.item_id;
      this.responseBegan = this.timestamp;
    }
    this.carrier.send(JSON.stringify({ event: 'mark', streamSid, mark: { name: 'responsePart' } }));
    this.marks += 1;
  }

  interrupt() {
    if (this.marks <= 0 || !this.item) return;
    this.ai.send(JSON.stringify({
      type: 'conversation.item.truncate', item_id: this.item, content_index: 0,
      audio_end_ms: this.timestamp - this.responseBegan,
    }));
    this.carrier.send(JSON.stringify({ event: 'clear', streamSid: this.streamSid }));
    this.marks = 0;
    this.item = null;
  }
}

const server = Fastify();
await server.register(websocket, { options: { perMessageDeflate: false } });
server.get('/media-stream', { websocket: true }, (socket) => { new Call(socket); });
await server.listen({ port: Number(PORT), host: '127.0.0.1', backlog: 4096 });
console.log(`ready ${server.server.address().port}`);
