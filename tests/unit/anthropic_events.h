/* Events of the Messages API, to be put together into streams. */
#ifndef AIRUNNER_TEST_ANTHROPIC_EVENTS_H
#define AIRUNNER_TEST_ANTHROPIC_EVENTS_H

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nrequest-id: req_1\r\n\r\n"
#define EV(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START \
	EV("message_start", \
		",\"message\":{\"usage\":{\"input_tokens\":5,\"cache_creation_input_tokens\":30," \
		"\"cache_read_input_tokens\":100,\"cache_creation\":{\"ephemeral_5m_input_" \
		"tokens\":10," \
		"\"ephemeral_1h_input_tokens\":20},\"output_tokens\":1}}")
#define THINKING \
	EV("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"thinking\"," \
				  "\"thinking\":\"\",\"signature\":\"\"}") \
	EV("content_block_delta", \
		",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}") \
	EV("content_block_stop", ",\"index\":0")
#define TEXT \
	EV("content_block_start", \
		",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}") \
	EV("content_block_delta", \
		",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"H\\u00e4\"}") \
	EV("ping", "") \
	EV("content_block_delta", \
		",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"llo\"}") \
	EV("content_block_stop", ",\"index\":1")
#define NEW_KIND \
	EV("content_block_start", \
		",\"index\":2,\"content_block\":{\"type\":\"new_kind\",\"x\":[1,2.50]}") \
	EV("content_block_delta", ",\"index\":2,\"delta\":{\"type\":\"new_delta\",\"y\":1}") \
	EV("content_block_stop", ",\"index\":2")
#define TOOL \
	EV("content_block_start", ",\"index\":3,\"content_block\":{\"type\":\"tool_use\",\"id\":" \
				  "\"toolu_1\",\"name\":\"view\",\"input\":{}}") \
	EV("content_block_delta", ",\"index\":3,\"delta\":{\"type\":\"input_json_delta\"," \
				  "\"partial_json\":\"{\\\"path\\\": \\\"a\"}") \
	EV("content_block_delta", ",\"index\":3,\"delta\":{\"type\":\"input_json_delta\"," \
				  "\"partial_json\":\".c\\\", \\\"n\\\": 1.0}\"}") \
	EV("content_block_stop", ",\"index\":3")
#define END(stop) \
	EV("message_delta", \
		",\"delta\":{\"stop_reason\":\"" stop "\"},\"usage\":{\"output_tokens\":42," \
		"\"output_tokens_details\":{\"thinking_tokens\":7}}") \
	EV("message_stop", "")
#define OPEN(n, block) EV("content_block_start", ",\"index\":" #n ",\"content_block\":{" block "}")
#define DELTA(n, type, member, text) \
	EV("content_block_delta", \
		",\"index\":" #n ",\"delta\":{\"type\":\"" type "\",\"" member "\":\"" text "\"}")
#define CLOSE(n) EV("content_block_stop", ",\"index\":" #n)
#define WHOLE START THINKING TEXT EV("new_event", ",\"z\":1") NEW_KIND TOOL END("tool_use")
#define MESSAGE \
	"{\"role\":\"assistant\",\"content\":[" \
	"{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"c2ln\"}," \
	"{\"type\":\"text\",\"text\":\"H\xc3\xa4llo\"}," \
	"{\"type\":\"new_kind\",\"x\":[1,2.50]}," \
	"{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"view\",\"input\":{\"path\": " \
	"\"a.c\", \"n\": 1.0}}]}"

#endif
