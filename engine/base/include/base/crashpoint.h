/**
 * @file crashpoint.h
 * Labelled points at which a test lets the process die as if the power went.
 *
 * With HQ_CRASH_POINTS defined (all presets but release), the environment variable
 * HQ_CRASH_POINT="label" or "label:n" makes the n-th passage of that label raise SIGKILL;
 * HQ_CRASH_LIST=path appends each label once per process to that file, which is how the crash
 * test learns what there is to loop over. In a release build the macro is nothing.
 */
#ifndef HQ_BASE_CRASHPOINT_H
#define HQ_BASE_CRASHPOINT_H

#ifdef HQ_CRASH_POINTS
void hq_crash_point_pass(const char *label);
#define HQ_CRASH_POINT(label) hq_crash_point_pass(label)
#else
#define HQ_CRASH_POINT(label) ((void)(label))
#endif

#endif
