/* file_inner: what io.c and file.c share and nobody else sees. Owner and thread: as file.h. */
#ifndef RINGBRIDGE_EDGE_IO_FILE_INNER_H
#define RINGBRIDGE_EDGE_IO_FILE_INNER_H

#include "edge/io/conn.h"
#include "edge/io/file.h"

/* Room for files_max files, in io->files. False when memory is out. */
bool file_open_all(struct io *io);

/* What an answer means to its file. True when the layer above must see it. */
bool file_settle(struct io *io, const struct ring_answer *answer, struct io_done *done);

/* io ends: every file is closed as soon as its step is home. */
void file_close_all(struct io *io);

size_t file_footprint_bytes(unsigned files_max);

#endif
