/* link_scene: a link with three cores' inboxes and a control that we play, made fresh for each
 * test. */
#ifndef RINGBRIDGE_TESTS_REPORT_LINK_SCENE_H
#define RINGBRIDGE_TESTS_REPORT_LINK_SCENE_H

#include "tests/report/link_control.h"

#define LINK_SCENE_CORES 3

struct link_scene {
    struct control control;
    struct mail *inboxes[LINK_SCENE_CORES];
    struct link *link;
};

/* For cmocka: control has said hello; it has not; inboxes that hold only 4 letters. */
int link_scene_begin(void **state);
int link_scene_begin_unmet(void **state);
int link_scene_begin_tight(void **state);
int link_scene_end(void **state);

#endif
