/* limits: every bound of the edge, with its unit. Visible to all of edge/.
 *
 * A bound is checked before memory is taken and tested at n-1, n and n+1. What is a command-line
 * choice has its default here. */
#ifndef RINGBRIDGE_EDGE_LIMITS_H
#define RINGBRIDGE_EDGE_LIMITS_H

/* HTTP, from people we do not trust yet */
#define HTTP_LINE_BYTES_MAX     8192
#define HTTP_HEAD_BYTES_MAX     16384
#define HTTP_FIELDS_MAX         64
#define HTTP_BODY_BYTES_MAX     65536   /* webhooks */
#define HTTP_API_BODY_BYTES_MAX 1000000 /* /api/ paths that are not Twilio's; fits a link frame */
#define HTTP_RESPONSE_BYTES_MAX 262144
#define HTTP_RESPOND_MS         60000 /* an answer, or a piece of a long one, is taken by then */
#define HTTP_BEHIND_BYTES_MAX   32768 /* that came behind a request before it was answered */
#define HTTP_FIRST_BYTE_MS      5000
#define HTTP_HEAD_MS            5000 /* whole head, from its first byte */
#define HTTP_BODY_MS            10000
#define HTTP_KEEP_ALIVE_MS      60000
#define HTTP_CONTROL_MS         5000 /* what control gets to answer a webhook */
#define TLS_HANDSHAKE_MS        5000
#define TLS_HELLO_BYTES_MAX     65536 /* of a handshake, kept until its turn comes */
#define SHAKE_TURN_US           500   /* handshakes of one turn: begun within so long .. */
#define SHAKE_TURN_MAX          8     /* .. and so many; when frames wait, one */
#define SHAKE_WAITING_MAX       1024  /* strangers whose turn has not come; more are turned away */
#define CONNECT_MS              5000
#define UPGRADE_MS              5000

/* WebSocket */
#define WS_CARRIER_MESSAGE_BYTES_MAX 65536
#define WS_AI_MESSAGE_BYTES_MAX      1048576
#define WS_FRAGMENTS_MAX             64
#define WS_CONTROL_PER_SECOND_MAX    10
#define WS_CLOSE_MS                  2000

/* JSON in hot messages */
#define JSON_DEPTH_MAX 32

/* The stream and the call */
#define STREAM_FIRST_MESSAGE_MS  5000  /* connected, then start, each */
#define STREAM_SILENT_MS         10000 /* no media for so long: the carrier is gone */
#define STREAM_PAYLOAD_BYTES_MAX 8192  /* decoded: about one second */
#define STREAM_SID_BYTES_MAX     64    /* Twilio's have 34 */
#define STREAM_GAP_FILL_MS_MAX   5000  /* a larger jump of timestamps is an event, not silence */
#define CALL_EARLY_BYTES_MAX                                                                       \
    40000                         /* caller audio kept until the AI is ready: 5 s, oldest dropped */
#define CALL_STALE_MS        2000 /* an AI that has not caught up for so long: no more is kept */
#define CALL_STALE_BYTES_MAX (CALL_STALE_MS * 8) /* .. than this, oldest dropped */
#define AI_QUEUE_BYTES_MAX   24576 /* appends it has not taken, mu-law: 1.6 s; PCM: four times */
#define CALL_JOIN_BYTES_MAX  800   /* caller audio that waits to share an append: 100 ms */
#define CALL_JOIN_PRESSED_MS 60    /* of it in one append, when the core works too hard */
#define CALL_JOIN_LATE_MS    40    /* it waits so long beyond its length when the carrier stops */
#define CORE_PRESSURE_HARD   85    /* of 100: frames are joined from here on .. */
#define CORE_PRESSURE_SHED   75    /* before that, listeners get no audio .. */
#define CORE_PRESSURE_EASED  50    /* .. until it is below this */
#define CALL_AHEAD_BYTES_MAX                                                                       \
    240000 /* agent audio before the stream starts: 30 s; the response is stopped there */
#define CALL_SAYS_MAX            4 /* texts that wait to be said, greeting included; more: dropped */
#define CALL_GAP_TOLD_MS         100 /* a gap in the caller's audio that counts as the carrier's loss */
#define CALL_UNPLAYED_MS_MAX     540000 /* agent audio at the carrier, who drops beyond ten minutes */
#define CALL_RECENT_BYTES        16000 /* the caller's last two seconds, for an AI that takes over */
#define CALL_OVERLAP_BYTES       4000  /* of them, for one that takes over in a pause: 500 ms */
#define HISTORY_BYTES_MAX        30720 /* of what was said, for the same; the oldest goes first */
#define CALL_READY_MS            10000 /* from dialling the AI to a configured session */
#define SESSION_READY_MS         3000  /* the same, when it replaces one that was lost */
#define SESSION_OUTAGE_MS_MAX    8000  /* an AI that is away for longer ends the call */
#define SESSION_QUICK_MS         20000 /* a session lost sooner than this after it was ready .. */
#define SESSION_QUICK_LOSSES_MAX 3     /* .. and so many in a row: it will not get better */
#define SESSION_ANSWER_MS        5000  /* after which an answer that did not begin is asked for */
#define SESSION_QUIET_MS         4000 /* of the AI, after which it is asked for a sign of life .. */
#define SESSION_SIGN_MS          4000 /* .. which it has so long to give */
#define SESSION_AHEAD_MS         120000 /* before its provider's cap a session looks for a pause */
#define SESSION_PAUSE_MS         200    /* between two looks */
#define SESSION_SUCCESSOR_MS     5000   /* before another successor, when one failed; doubles */
#define SPOOL_PAGES_MAX          8192   /* per core, 16 KiB each: recordings' blocks in memory */
#define SPOOL_FILE_BLOCKS_MAX    3600   /* of one file: 61 minutes, 56 MiB */
#define SPOOL_LOST_MS_MAX        30000  /* a disk that takes nothing for so long ends a recording */
#define SPOOL_FINISH_MS          5000   /* a core that stops waits so long for the last blocks */
#define DISK_ANSWER_MS           10000  /* .. and then so long for what the disk has begun */
#define TAP_CHUNKS_MAX           16384  /* per core, 4 KiB each: agent audio not yet heard .. */
#define TAP_CHUNKS_MIN           1200   /* .. of which one call has 9 minutes at most */
#define CALL_ITEMS_MAX           20     /* AI items at the carrier at once; functions make many */
#define CALL_MARKS_MAX           128    /* marks on their way */
#define CALL_MARK_EVERY_MS       200    /* audio between two marks */
#define CALL_TICKET_BYTES_MAX    128

/* Listeners: supervisors who hear a call */
#define LISTENERS_PER_CALL_MAX   4
#define LISTENERS_PER_CORE_MAX   64
#define LISTEN_CHUNK_MS          100   /* of a track, in one message */
#define LISTEN_QUEUE_BYTES_MAX   32768 /* of audio that one has not taken: 2 s of both tracks */
#define LISTEN_EVENTS_BYTES_MAX  98304 /* of events beyond it; then the listener is closed */
#define LISTEN_MESSAGE_BYTES_MAX 1024  /* of what it may say, to be told not to */
#define LISTEN_QUIET_MS          15000 /* then it is asked for a sign of life .. */
#define LISTEN_SIGN_MS           10000 /* .. and given up */

/* Answers longer than one response of control, fetched from it piece by piece */
#define DOWNLOADS_PER_CORE_MAX 64
#define DOWNLOAD_ASK_BYTES_MAX 255

/* Send queues, per socket: the policy when full stands with the caller of conn_frame_begin */
#define SEND_QUEUE_BYTES_MAX 1048576
#define SEND_UNSENT_BYTES    32768 /* of a dialled socket, in the kernel beyond the peer's window */
#define SEND_PROGRESS_MS     10000 /* no byte accepted for so long: peer_slow */

/* Functions that the AI calls */
#define TOOLS_PENDING_MAX        16    /* at once in a call; more are refused in words */
#define TOOL_ARGUMENTS_BYTES_MAX 32768 /* as the AI wrote them, escapes included */
#define TOOL_OUTPUT_BYTES_MAX    40960 /* of a result, JSON text */
#define TOOL_INTERIM_MS          4000  /* what a tool without words of its own about it gets .. */
#define TOOL_DEADLINE_MS         20000
#define TOOL_GRACE_MS            3000 /* beyond its deadline, for control's own answer to come */

/* One core's machinery */
#define CORES_MAX            64
#define CACHE_LINE_BYTES     64  /* what a core fetches from memory at once */
#define RING_ENTRIES         512 /* of a turn; what is more is submitted early. Few, for the cache */
#define RING_ANSWERS         65536 /* the most a kernel allows; see the assert below */
#define RECEIVE_BUFFERS      4096  /* power of two */
#define RECEIVE_BUFFER_BYTES 4096
#define BUFFERS_GOING_ROUND  32    /* of them, until more are needed: so the cache holds them */
#define CONNS_MAX            16384 /* per core; 2 per call plus HTTP */
#define FILES_MAX            4096  /* per core: recordings that are written at once */
#define CALLS_PER_CORE       4096  /* default of --max-calls, per core */
#define ADDRESS_CONNS_MAX    (CONNS_MAX / 4 * 3) /* default: of one address, per core */
#define ADDRESS_NEWS_MAX     2000                /* default: of one address in a second, per core */
#define ADDRESSES_KEPT       4096                /* power of two; who finds no place shares one */
#define ACCEPTS_WAITING_MAX  8188 /* connections accepted in one turn: two listeners have 2048 */
#define ANSWERS_OF_A_CORE    4 /* its doorbell's watch and cancel, its alarm and that one's move */
#define POOL_BYTES_MAX       ((size_t)1 << 30) /* send blocks and requests that are not whole */
#define INBOX_LETTERS        16384
#define TURN_COMPLETIONS_MAX 512  /* then what was queued is sent, and the next turn goes on */
#define TURN_SLOW_MS         20   /* a turn that long is counted .. */
#define TURN_STALLED_MS      100  /* .. that long is logged .. */
#define TURN_SILENT_MS       2000 /* .. and no turn for so long ends the process */

/* The completion queue holds every possible answer: of each connection a receive's end, a send and
 * a cancel (a close comes when these are home); all receive buffers; what was accepted; of each
 * file the one step that it takes; the core's own. */
_Static_assert(3 * CONNS_MAX + RECEIVE_BUFFERS + ACCEPTS_WAITING_MAX + FILES_MAX +
                       ANSWERS_OF_A_CORE <=
                   RING_ANSWERS,
               "a completion could find no room");

/* The link to control */
#define LINK_EVENT_BYTES_MAX    65536        /* one event's JSON */
#define LINK_STORE_BYTES_MAX    (256u << 20) /* events waiting for control: beyond it no new calls */
#define LINK_REQUESTS_MAX       4096         /* HTTP requests waiting for control */
#define LINK_REQUESTS_BYTES_MAX (64u << 20)  /* of them, not yet sent */
#define LINK_SAY_BYTES_MAX      2048         /* what the agent may be ordered to say at once */
#define LINK_ORDERS_KEPT_MAX    4096 /* letters of orders that wait for room in a core's inbox */
#define LINK_AWAY_MS            2000 /* control may be gone for so long before requests give up */
#define LINK_HELLO_MS           5000 /* what control gets to answer hello */
#define LINK_RETRY_MS_MIN       100  /* between two tries to connect, growing to .. */
#define LINK_RETRY_MS_MAX       2000
#define LINK_REFUSED_MS         10000 /* .. and after a refusal (other version, other user) */

/* What control may tell about one call (the whole fits a link frame) */
#define STREAM_URL_BYTES_MAX        400
#define PLAN_NAME_BYTES_MAX         128
#define PLAN_KEY_BYTES_MAX          1024
#define PLAN_TARGET_BYTES_MAX       2048
#define PLAN_GREETING_BYTES_MAX     8192
#define PLAN_INSTRUCTIONS_BYTES_MAX 131072
#define PLAN_TOOLS_MAX              128
#define PLAN_TOOLS_BYTES_MAX        131072
#define PLAN_TOOL_NAME_BYTES_MAX    64
#define PLAN_TOOL_MS_MAX            300000
#define PLAN_INTERRUPT_AFTER_MS_MAX 2000
#define PLAN_VAD_PREFIX_MS_MAX      2000
#define PLAN_VAD_SILENCE_MS_MAX     5000
#define PLAN_SESSION_S              3600  /* OpenAI's cap */
#define PLAN_SESSION_S_MIN          10    /* shorter ones could not be renewed in time */
#define PLAN_DURATION_S_MAX         86400 /* Twilio ends every call after 24 hours */

#endif
