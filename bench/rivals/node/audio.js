// mu-law 8 kHz <-> PCM16 24 kHz, tables and linear interpolation: the usual way without a DSP library.
const decodeTable = new Int16Array(256);
for (let code = 0; code < 256; code += 1) {
  const u = ~code & 0xff;
  const magnitude = (((u & 15) << 3) + 132 << (u >> 4 & 7)) - 132;
  decodeTable[code] = u & 0x80 ? -magnitude : magnitude;
}

function encodeSample(sample) {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(sign ? -sample : sample, 32635) + 132;
  const exponent = 31 - Math.clz32(magnitude) - 7;
  return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 15) & 0xff;
}

const encodeTable = new Uint8Array(65536);
for (let sample = -32768; sample < 32768; sample += 1) encodeTable[sample & 0xffff] = encodeSample(sample);

// Remembers the last sample of a frame, so that the next begins where it ended.
export class Up {
  last = 0;

  run(base64) {
    const codes = Buffer.from(base64, 'base64');
    const out = Buffer.allocUnsafe(codes.length * 6);
    const samples = new Int16Array(out.buffer, out.byteOffset, codes.length * 3);
    let { last } = this;
    for (let i = 0, at = 0; i < codes.length; i += 1) {
      const next = decodeTable[codes[i]];
      samples[at++] = last + (next - last) / 3;
      samples[at++] = last + (next - last) * 2 / 3;
      samples[at++] = next;
      last = next;
    }
    this.last = last;
    return out.toString('base64');
  }
}

// Every third sample, after the mean of its three; keeps what a delta leaves over.
export class Down {
  rest = Buffer.alloc(0);

  run(base64) {
    let bytes = Buffer.from(base64, 'base64');
    if (this.rest.length) bytes = Buffer.concat([this.rest, bytes]);
    const count = Math.floor(bytes.length / 6);
    const codes = Buffer.allocUnsafe(count);
    for (let i = 0, at = 0; i < count; i += 1, at += 6) {
      const mean = (bytes.readInt16LE(at) + bytes.readInt16LE(at + 2) + bytes.readInt16LE(at + 4)) / 3;
      codes[i] = encodeTable[Math.round(mean) & 0xffff];
    }
    this.rest = Buffer.from(bytes.subarray(count * 6));
    return codes.toString('base64');
  }
}
