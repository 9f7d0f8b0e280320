/* link_proto: the contract between the edge and control, spoken over one Unix socket.
 *
 * What it is: how a frame looks and what each kind means. What it is not: the sockets (edge:
 * report/link.c, control: link.c). Owner of memory: the caller; decoding copies nothing.
 * Thread: any. Bounds: LINK_FRAME_BYTES_MAX a frame, checked on the header before the body is read;
 * neither side trusts the other's lengths.
 *
 * A frame, little endian:
 *      0  u32  frame_bytes   header + json + raw
 *      4  u8   type          enum link_type
 *      5  u8 0, u16 0        reserved, must be zero
 *      8  u64  id            meaning depends on type
 *     16  u32  json_bytes    one JSON object, UTF-8 (may be 0 where noted)
 *     20  u32  raw_bytes     bytes that are not JSON: HTTP bodies, metrics text, audio
 *     24  json, then raw     frame_bytes == 24 + json_bytes + raw_bytes, or the link is closed
 *
 * The edge connects and says HELLO first; control answers HELLO or closes with one that has
 * "error". Both reconnect for ever. Unknown type: counted and skipped. Unknown version: refused.
 *
 * type      from     id                json                                    raw
 * HELLO     both     version           {"role":"edge"|"control","name":..,     -
 *                                       "run":uuid of this process' life,
 *                                       "cores":N (edge), "error":.. (refusal),
 *                                       "calls_max":N, "stream_url":wss base or "" (edge)}
 * REQUEST   edge     edge's number     {"kind":"http"|"admit"|"metrics"|..,..  http: body
 *                                       "deadline_ms": time left}
 * RESPONSE  control  the request's     {"status":int, "headers":{..}, ..}      http: body
 * EVENT     edge     event's number,   {"kind":.., "call":uuid, "seq":n,       -
 *                    1,2,3.. per run    "at_ms":unix ms, "organization":uuid, ..}
 * ACK       control  event's number    -                                       -
 * ORDER     control  control's number  {"kind":"prepare"|"hangup"|"drain".. }  -
 * RESULT    edge     the order's       {"ok":bool, "error":..}                 -
 *
 * A REQUEST not answered when deadline_ms has passed is answered by the edge itself (503, or the
 * soft TwiML); a late RESPONSE is dropped. An EVENT is kept by the edge until its ACK, which
 * control sends only after commit, and is sent again after a reconnect; control stores each (call,
 * seq) once and acknowledges doubles. An ORDER is not repeated; its sender decides on a missing
 * RESULT.
 *
 * REQUEST "http": {"kind":"http","method":"POST","target":"/path?query as received",
 *    "peer":"198.51.100.7","headers":{"lower-case-name":"value",..},"deadline_ms":8000}, raw =
 * body. Passed on headers: host, content-type, authorization, x-twilio-signature,
 *    i-twilio-idempotency-token, user-agent, accept, origin, cookie, x-retell-signature,
 *    range, idempotency-key.
 *    RESPONSE {"status":200,"headers":{"content-type":"text/xml"}}, raw = body. With
 *    "more":{"ask":"up to 255 bytes, control's own","bytes":of the whole} raw is its beginning.
 * REQUEST "more" (the reader has taken what was sent of such a body):
 *    {"kind":"more","ask":"as it was given","from":bytes had so far}
 *    RESPONSE {"status":200}, raw = the next bytes, one at least. Any other status: there is no
 *    more, and the edge breaks the connection off.
 * REQUEST "admit" (a stream arrived whose ticket this edge was not told about):
 *    {"kind":"admit","ticket":"..","signature":"X-Twilio-Signature value or empty"}
 *    RESPONSE {"status":200,"plan":{..as in prepare..}} or {"status":403,"error":"why"}.
 * REQUEST "listen" (somebody asks for /listen/TICKET, to hear a live call):
 *    {"kind":"listen","ticket":".."}
 *    RESPONSE {"status":200,"call":uuid,"organization":uuid} (the ticket is used up with it) or
 *    {"status":403,"error":"why"}. The ticket looks like a stream's (common/ticket.h), its home core is
 *    that of "started", and it is signed with another key, so neither passes for the other.
 * REQUEST "metrics": RESPONSE {"status":200}, raw = Prometheus text.
 *
 * ORDER "prepare": {"kind":"prepare","plan":{
 *    "call":uuid (conversation id), "organization":uuid, "call_sid":"CA..", "account_sid":"AC..",
 *    "ticket":"..",  "expires_at_ms":unix ms, "home_core":n,
 *    "signatures":[every X-Twilio-Signature value that is right for this stream's URL],
 *    "duration_max_s":3600, "first_seq":n (absent: 0; the first event is n + 1),
 *    "append_ms":20|40|60|100 (absent: 20), "record":bool (absent: false),
 *    "ai":{"backend":"openai_realtime","url":"wss://host/v1/realtime?model=..","key":"..",
 *          "format":"pcmu"|"pcm","model":..,"voice":..,"instructions":..,"greeting":"" or text,
 *          "transcription_model":..,"language":.., "tools":[function objects],
 *          all of these may be absent: "greeting_interruptible":true, "interrupt_after_ms":0,
 *          "vad_prefix_ms":300, "vad_silence_ms":500, "vad_threshold_percent":50,
 *          "session_max_s":3600,
 *          "tool_waits":[{"name":..,"interim_ms":4000 (0: never),"deadline_ms":20000,
 *                         "at_edge":"end_call"|"collect_digits" or null}]}}}
 *    The key is kept by the edge as long as the call, because its AI session may have to be replaced,
 *    and wiped then.
 * ORDER "hangup": {"kind":"hangup","call":uuid,"reason":"name from end.def"}
 * ORDER "record": {"kind":"record","call":uuid,"action":"start"|"pause"|"resume"|"stop"}   refused
 *    by an edge without a spool; what is so already stays so
 * ORDER "say":    {"kind":"say","call":uuid,"text":"..","interruptible":bool}  the agent says this
 * ORDER "tool_result": {"kind":"tool_result","call":uuid,"number":n,"output":"JSON text",
 *    "end":"agent_hung_up"|"transferred" or absent}   of the function whose tool_call event has that
 *    number; with "end" the call ends so, when the agent's last words are heard. Sent again until its
 *    RESULT has come; the edge takes each once.
 * ORDER "drain":  {"kind":"drain"}
 * ORDER "load":   {"kind":"load"}  only to an edge that said calls_max
 *    RESULT {"ok":true,"calls":n,"draining":bool}: live and prepared ones
 *
 * EVENT kinds (all with call, organization, seq, at_ms):
 *    "started"   {"call_sid","stream_sid","account_sid","media_format":{..},"parameters":{..},
 *                 "ticket",                        control uses it up and does not keep it
 *                 "core"}                          where it lives, for tickets to listen to it
 *    "ai_ready"  {"session_id","dial_ms"}          AI session configured
 *    "message"   {"role":"user"|"assistant","item_id","text","interrupted":bool,
 *                 "audio_ms","heard_ms"}           one finished utterance of either side
 *    "barge_in"  {"item_id","audio_end_ms","audio_ms"}
 *    "turn"      {"number","vad_ms","ai_ms","edge_us","carrier_ms","whole_ms"}
 *                                                  from the end of the caller's speech to the
 *                                                  first sound of the answer, and where it went
 *    "carrier_warning" {"code":31930|31931,"audio_ms"}  audio the carrier dropped, or would have
 *    "dtmf"      {"digit"}
 *    "tool_call" {"call_id","name","arguments","at_edge":bool}   arguments: text, as the AI wrote
 *                 it. Control carries it out once and answers with an order (tool_result); those
 *                 at_edge the edge carries out by itself
 *    "tool_result" {"number","ok":bool,"output":{..}}   of the tool_call event of that number: what
 *                 came of one at_edge, or that the AI was told that no answer had come
 *    "usage"     {"response_id","status","usage":{..as the backend sent it..}}
 *    "ended"     {"reason","duration_ms","figures":{..}}   exactly one per stream, its last seq
 *    "ai_lost"   {"reason"}                        AI session lost; another is on its way
 *    "ai_resumed" {"session_id","gap_ms","tries","items","replayed_ms"}   it is there, with the
 *                 conversation so far and the caller's last words
 *    "ai_renewed" {..the same..}                   replaced in a pause, before its longest duration
 *    "ai_error"  {"code","error_type","text"}      what the AI complained about
 *    "recording_started" {"file"}                  both sides are kept from now on
 *    "recording_paused" "recording_resumed" {"file","at_sample"}   by order; silence in between
 *    "recording" {"file","samples","lost_samples","reason"}   a spool file is finished
 *                 (common/spool_format.h); control has it encoded and then deletes the file. With a
 *                 reason it ended before it should, because of the disk; it may come after "ended"
 *    "recording_failed" {"reason"}                 there is no file: no_spool, no_capacity,
 *                 not_permitted, no_directory, disk_full, disk_error
 * Control adds "edge" and "edge_run" (the hello's name and run) to started and recording.
 */
#ifndef RINGBRIDGE_COMMON_LINK_PROTO_H
#define RINGBRIDGE_COMMON_LINK_PROTO_H

#include "common/span.h"

#define LINK_VERSION         1
#define LINK_HEADER_BYTES    24
#define LINK_FRAME_BYTES_MAX (1u << 20)

enum link_type {
    LINK_HELLO = 1,
    LINK_REQUEST,
    LINK_RESPONSE,
    LINK_EVENT,
    LINK_ACK,
    LINK_ORDER,
    LINK_RESULT,
    LINK_TYPE_COUNT
};

struct link_frame {
    uint8_t type; /* enum link_type; may be unknown to us */
    uint64_t id;
    struct span json; /* into the decoder's input */
    struct span raw;
};

enum link_decode { LINK_DONE, LINK_MORE, LINK_BAD };

/* Takes one frame from the front of input. DONE: *frame points into input, *used says how many
 * bytes to drop. MORE: nothing touched; *used is the whole frame's size if its header is known,
 * else 0. BAD: the peer is broken, close the link. Never reads past input. */
enum link_decode link_decode(struct span input, struct link_frame *frame, size_t *used);

/* Writes the 24 header bytes. json_bytes + raw_bytes must fit LINK_FRAME_BYTES_MAX (assert). */
void link_encode_header(uint8_t header[LINK_HEADER_BYTES], enum link_type type, uint64_t id,
                        size_t json_bytes, size_t raw_bytes);

#endif
