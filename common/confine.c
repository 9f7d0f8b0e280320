#include "common/confine.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#ifdef RINGBRIDGE_RELEASE
#define DUMPABLE 0ul
#else
#define DUMPABLE 1ul
#endif

void confine_process(void)
{
    struct rlimit none = {0};
    prctl(PR_SET_NO_NEW_PRIVS, 1ul, 0ul, 0ul, 0ul);
    prctl(PR_SET_DUMPABLE, DUMPABLE, 0ul, 0ul, 0ul);
    setrlimit(RLIMIT_CORE, &none);
}
