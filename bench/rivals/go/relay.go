// A relay between Twilio Media Streams and a realtime AI, as one would write it with gorilla/websocket.
//
//	AI_URL=ws://127.0.0.1:9091/v1/realtime FORMAT=pcmu|pcm PORT=0 relay      prints "ready PORT"
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"

	"github.com/gorilla/websocket"
)

type media struct {
	Track     string `json:"track,omitempty"`
	Timestamp string `json:"timestamp,omitempty"`
	Payload   string `json:"payload"`
}

type mark struct {
	Name string `json:"name"`
}

// What Twilio says, and what it is told.
type carrierMessage struct {
	Event     string `json:"event"`
	StreamSid string `json:"streamSid,omitempty"`
	Start     *struct {
		StreamSid string `json:"streamSid"`
	} `json:"start,omitempty"`
	Media *media `json:"media,omitempty"`
	Mark  *mark  `json:"mark,omitempty"`
}

type aiEvent struct {
	Type   string `json:"type"`
	Delta  string `json:"delta"`
	ItemID string `json:"item_id"`
}

type appendEvent struct {
	Type  string `json:"type"`
	Audio string `json:"audio"`
}

type truncateEvent struct {
	Type         string `json:"type"`
	ItemID       string `json:"item_id"`
	ContentIndex int    `json:"content_index"`
	AudioEndMs   int    `json:"audio_end_ms"`
}

const earlyFramesMax = 250

var (
	aiURL    = os.Getenv("AI_URL")
	converts = os.Getenv("FORMAT") == "pcm"
	upgrader = websocket.Upgrader{ReadBufferSize: 2048, WriteBufferSize: 2048, WriteBufferPool: &sync.Pool{}}
	dialer   = websocket.Dialer{ReadBufferSize: 4096, WriteBufferSize: 4096, WriteBufferPool: &sync.Pool{}}
)

// gorilla allows one writer at a time.
type leg struct {
	*websocket.Conn
	writing sync.Mutex
}

func (l *leg) say(message interface{}) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.WriteMessage(websocket.TextMessage, text)
}

type call struct {
	carrier, ai leg
	up          up
	down        down

	state     sync.Mutex // what both readers touch
	streamSid string
	ready     bool
	early     []string
	timestamp int
	began     int
	item      string
	marks     int
}

func (c *call) append(payload string) error {
	if converts {
		codes, err := base64.StdEncoding.DecodeString(payload)
		if err != nil {
			return err
		}
		payload = base64.StdEncoding.EncodeToString(c.up.run(codes))
	}
	return c.ai.say(appendEvent{"input_audio_buffer.append", payload})
}

func (c *call) fromCarrier(message *carrierMessage) error {
	c.state.Lock()
	defer c.state.Unlock()
	switch {
	case message.Event == "start" && message.Start != nil:
		c.streamSid = message.Start.StreamSid
	case message.Event == "media" && message.Media != nil:
		c.timestamp, _ = strconv.Atoi(message.Media.Timestamp)
		if c.ready {
			return c.append(message.Media.Payload)
		}
		if len(c.early) < earlyFramesMax {
			c.early = append(c.early, message.Media.Payload)
		}
	case message.Event == "mark":
		c.marks--
	}
	return nil
}

func (c *call) fromAI(event *aiEvent) error {
	c.state.Lock()
	defer c.state.Unlock()
	switch event.Type {
	case "session.updated":
		c.ready = true
		for _, payload := range c.early {
			if err := c.append(payload); err != nil {
				return err
			}
		}
		c.early = nil
	case "response.output_audio.delta":
		return c.play(event)
	case "input_audio_buffer.speech_started":
		return c.interrupt()
	}
	return nil
}

func (c *call) play(event *aiEvent) error {
	payload := event.Delta
	if converts {
		bytes, err := base64.StdEncoding.DecodeString(payload)
		if err != nil {
			return err
		}
		payload = base64.StdEncoding.EncodeToString(c.down.run(bytes))
	}
	if c.item != event.ItemID {
		c.item = event.ItemID
		c.began = c.timestamp
	}
	c.marks++
	if err := c.carrier.say(carrierMessage{Event: "media", StreamSid: c.streamSid, Media: &media{Payload: payload}}); err != nil {
		return err
	}
	return c.carrier.say(carrierMessage{Event: "mark", StreamSid: c.streamSid, Mark: &mark{"responsePart"}})
}

func (c *call) interrupt() error {
	if c.marks <= 0 || c.item == "" {
		return nil
	}
	item := c.item
	c.marks, c.item = 0, ""
	if err := c.carrier.say(carrierMessage{Event: "clear", StreamSid: c.streamSid}); err != nil {
		return err
	}
	return c.ai.say(truncateEvent{"conversation.item.truncate", item, 0, c.timestamp - c.began})
}

// Reads the AI until one of the two is gone.
func (c *call) listen() {
	defer c.carrier.Close()
	for {
		_, text, err := c.ai.ReadMessage()
		if err != nil {
			return
		}
		var event aiEvent
		if json.Unmarshal(text, &event) != nil || c.fromAI(&event) != nil {
			return
		}
	}
}

func sessionUpdate() interface{} {
	format := map[string]interface{}{"type": "audio/pcmu"}
	if converts {
		format = map[string]interface{}{"type": "audio/pcm", "rate": 24000}
	}
	return map[string]interface{}{"type": "session.update", "session": map[string]interface{}{
		"type": "realtime", "output_modalities": []string{"audio"},
		"instructions": "You answer the phone. Be brief and friendly.",
		"audio": map[string]interface{}{
			"input":  map[string]interface{}{"format": format, "turn_detection": map[string]string{"type": "server_vad"}},
			"output": map[string]interface{}{"format": format}}}}
}

func serve(response http.ResponseWriter, request *http.Request) {
	carrier, err := upgrader.Upgrade(response, request, nil)
	if err != nil {
		return
	}
	defer carrier.Close()
	ai, _, err := dialer.Dial(aiURL, http.Header{"Authorization": {"Bearer " + os.Getenv("OPENAI_API_KEY")}})
	if err != nil {
		log.Print(err)
		return
	}
	defer ai.Close()
	c := &call{carrier: leg{Conn: carrier}, ai: leg{Conn: ai}}
	if c.ai.say(sessionUpdate()) != nil {
		return
	}
	go c.listen()
	for {
		_, text, err := carrier.ReadMessage()
		if err != nil {
			return
		}
		var message carrierMessage
		if json.Unmarshal(text, &message) != nil || c.fromCarrier(&message) != nil {
			return
		}
	}
}

func main() {
	http.HandleFunc("/media-stream", serve)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, nil))
}
