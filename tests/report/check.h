/* check: the few lines that every cmocka program here starts with. */
#ifndef RINGBRIDGE_TESTS_REPORT_CHECK_H
#define RINGBRIDGE_TESTS_REPORT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
