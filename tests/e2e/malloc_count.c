/* malloc_count: counts each thread's allocations in a shared file, for tests that claim there are none.
 *
 * Loaded with LD_PRELOAD; MALLOC_COUNT_FILE names a file of 8 KiB: rows of {uint64 thread id, uint64 allocations,
 * uint64 allocations by libssl's own hand}. BoringSSL's libssl calls malloc for the buffer of a record and takes no other
 * allocator for it; what everybody else does is counted apart from that.
 * A row belongs to one thread for ever, so nothing is locked. */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROWS 256

struct row {
    uint64_t thread, count, by_libssl;
};

static struct row *rows;
static unsigned rows_used;
static uintptr_t libssl_from, libssl_to;
static __thread struct row *own;

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

static int find_libssl(struct dl_phdr_info *info, size_t bytes, void *context)
{
    (void)bytes, (void)context;
    if (!strstr(info->dlpi_name, "/libssl.so"))
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
            libssl_from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            libssl_to = libssl_from + info->dlpi_phdr[i].p_memsz;
        }
    return 0;
}

__attribute__((constructor)) static void open_file(void)
{
    dl_iterate_phdr(find_libssl, NULL);
    const char *path = getenv("MALLOC_COUNT_FILE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *memory = mmap(NULL, ROWS * sizeof *rows, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED)
        __atomic_store_n(&rows, memory, __ATOMIC_RELEASE);
    close(file);
}

static void count(const void *caller)
{
    struct row *table = __atomic_load_n(&rows, __ATOMIC_ACQUIRE);
    if (!own && table) {
        unsigned row = __atomic_fetch_add(&rows_used, 1, __ATOMIC_RELAXED);
        if (row < ROWS) {
            own = &table[row];
            own->thread = (uint64_t)syscall(SYS_gettid);
        }
    }
    if (!own)
        return;
    if ((uintptr_t)caller >= libssl_from && (uintptr_t)caller < libssl_to)
        own->by_libssl++;
    else
        own->count++;
}

void *malloc(size_t bytes);
void *calloc(size_t number, size_t bytes);
void *realloc(void *old, size_t bytes);

void *malloc(size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_calloc(number, bytes);
}

void *realloc(void *old, size_t bytes)
{
    count(__builtin_return_address(0));
    return __libc_realloc(old, bytes);
}
