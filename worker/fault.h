/*
 * Named points at which a test build (-DAIRUNNER_FAULTS) kills itself or notes that it passed; in
 * every other build they are nothing. AIRUNNER_FAULT is
 *   kill@NAME:N  SIGKILL to itself at the N-th passing of the point NAME
 *   wait@NAME:N  waits there for a signal, with dir@ only; FILE.waits says that it does
 *   trace@FILE   each point passed is a line of FILE
 *   dir@DIR      one of these, read from the first line of the file DIR/ISSUE-KEY when the run is
 *                taken up; the line is removed before the kill (with the last one the file), so
 *                that a run is killed once for each line
 * AIRUNNER_FAULT_MS=NAME:MS,… shortens the waits that FAULT_MS() names.
 */
#ifndef AIRUNNER_FAULT_H
#define AIRUNNER_FAULT_H

#ifdef AIRUNNER_FAULTS
#include <stdint.h>

/** Reads AIRUNNER_FAULT for the run of this issue. */
void fault_start(const char *issue_key);
void fault_point(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** A wait by its name: ms, or what AIRUNNER_FAULT_MS says. */
int64_t fault_ms(const char *name, int64_t ms);
#define FAULT_START(issue_key) fault_start(issue_key)
#define FAULT_POINT(...) fault_point(__VA_ARGS__)
#define FAULT_MS(name, ms) fault_ms(name, ms)
#else
#define FAULT_START(issue_key) ((void)0)
#define FAULT_POINT(...) ((void)0)
#define FAULT_MS(name, ms) (ms)
#endif

#endif
