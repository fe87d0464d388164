/**
 * @file spool_fixture.h
 * A spool in a directory of its own, and ways to fill and damage it. Include after <cmocka.h>.
 */
#ifndef HQ_TESTS_SPOOL_FIXTURE_H
#define HQ_TESTS_SPOOL_FIXTURE_H

#include "spool_internal.h"

enum {
    SEGMENT = 1 << 20
};

struct fixture {
    char directory[64], path[80];
    struct spool spool;
};

int setup(void **state);
int teardown(void **state);
#define SPOOL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/** The segment that most tests spool, and the name of its file. */
extern const struct spool_id first;
#define FIRST_NAME "main.0000000000001234.000000030000000100000234.spool"

/** Path of a file of the spool's directory. */
void path_of(const struct fixture *f, const char *name, char out[256]);
bool there(const struct fixture *f, const char *name);
/** A file of one byte. */
void put_file(const struct fixture *f, const char *name);
/** Change one byte of a file. */
void flip(const struct fixture *f, const char *name, off_t offset);

struct spool_file *create(struct fixture *f, const struct spool_id *id);
/** `first` with "abcdef" and "gh", each synced, then "lost", which is not. */
struct spool_file *create_filled(struct fixture *f);
void append(struct spool_file *s, const char *text);
/** Read from `first`. @p text: what is read; NULL: it is CORRUPT. */
void check_read(struct spool_file *s, uint64_t from, uint64_t to, const char *text);
/** What the next run finds; spool_files_clear(). */
struct spool_files recover(struct fixture *f);

#endif
