/* file: a file that grows, written through the core's ring, so that no disk ever holds up a call.
 *
 * What it is: made under another name, locked, renamed; blocks at its end; closed. What it is not:
 * reading, or what is in it (edge/call/spool). Each step is asked for, and answered by io_next with
 * the file's owner: OP_FILE_OPEN when it has its name or could not be made, OP_FILE_WRITE when all
 * of the bytes are with the kernel or cannot be, OP_FILE_CLOSE when it is closed and gone. One step
 * at a time (assert). A write that the kernel takes in parts goes on by itself. What was written
 * survives this process, not the machine: nothing is brought to the disk by force. Owner: struct io
 * has all files in a slab, until OP_FILE_CLOSE; the bytes of a write are the caller's, and must
 * live until its answer. Thread: the core's. Bounds: files_max of io_config. */
#ifndef RINGBRIDGE_EDGE_IO_FILE_H
#define RINGBRIDGE_EDGE_IO_FILE_H

#include "common/span.h"

#define FILE_NAME_BYTES_MAX 63
#define FILE_NEW            ".new" /* behind the name, until it is locked */

struct io;
struct file;

/* A directory to make files in, for as long as the process runs: its descriptor. -1 with a sentence
 * in error that names the mend: it must be there, ours, writable, and open to nobody else. Boot
 * thread. */
int file_directory(const char *path, char *error, size_t room);

/* Makes a file of this name in the directory, readable and writable by us alone, and takes flock on
 * it; a file that is there is not touched. NULL: no slot. The name is copied. */
struct file *file_create(struct io *io, int directory, const char *name, uint64_t owner);

/* Puts bytes at its end. It must have its name. */
void file_write(struct io *io, struct file *file, struct span bytes);

/* Closes it, which ends the lock; also one that could not be made. The last step. */
void file_close(struct io *io, struct file *file);

/* How many bytes of it are with the kernel, also of a write that failed later on. */
uint64_t file_bytes(const struct file *file);

#endif
