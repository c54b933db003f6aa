/* OpenAI under /openai/v1. */
#include "tests/standin/service.h"

void openai_answer(struct req *q)
{
	answer_text(q, 404, "text/plain", "not yet");
}
