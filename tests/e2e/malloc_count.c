/* malloc_count: counts each thread's allocations in a shared file, for tests that claim there are none.
 *
 * Loaded with LD_PRELOAD; MALLOC_COUNT_FILE names a file of 4 KiB: rows of {uint64 thread id, uint64 allocations}.
 * A row belongs to one thread for ever, so nothing is locked. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROWS 256

struct row {
    uint64_t thread, count;
};

static struct row *rows;
static unsigned rows_used;
static __thread struct row *own;

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("MALLOC_COUNT_FILE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *memory = mmap(NULL, ROWS * sizeof *rows, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED)
        __atomic_store_n(&rows, memory, __ATOMIC_RELEASE);
    close(file);
}

static void count(void)
{
    struct row *table = __atomic_load_n(&rows, __ATOMIC_ACQUIRE);
    if (!own && table) {
        unsigned row = __atomic_fetch_add(&rows_used, 1, __ATOMIC_RELAXED);
        if (row < ROWS) {
            own = &table[row];
            own->thread = (uint64_t)syscall(SYS_gettid);
        }
    }
    if (own)
        own->count++;
}

void *malloc(size_t bytes);
void *calloc(size_t number, size_t bytes);
void *realloc(void *old, size_t bytes);

void *malloc(size_t bytes)
{
    count();
    return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes)
{
    count();
    return __libc_calloc(number, bytes);
}

void *realloc(void *old, size_t bytes)
{
    count();
    return __libc_realloc(old, bytes);
}
