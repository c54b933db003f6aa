/* Where a turn's change of files is kept: see record.c. */
#ifndef AIRUNNER_RECORD_H
#define AIRUNNER_RECORD_H

/** The artifact's kind; its name is "<conversation>.<message>". */
#define RECORD_KIND "turn_change"

#endif
