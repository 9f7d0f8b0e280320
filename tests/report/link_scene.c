#include "tests/report/link_scene.h"

#include <stdlib.h>

static int begin_with(void **state, size_t letters, bool met)
{
    struct link_scene *scene = calloc(1, sizeof *scene);
    if (!scene)
        return -1;
    control_open(&scene->control);
    control_listen(&scene->control);
    scene->link = link_to(&scene->control, scene->inboxes, LINK_SCENE_CORES, letters, 0);
    if (met) {
        control_meet(&scene->control);
        control_sync(&scene->control);
    }
    *state = scene;
    return 0;
}

int link_scene_begin(void **state)
{
    return begin_with(state, 16384, true);
}

int link_scene_begin_unmet(void **state)
{
    return begin_with(state, 16384, false);
}

int link_scene_begin_tight(void **state)
{
    return begin_with(state, 4, true);
}

int link_scene_end(void **state)
{
    struct link_scene *scene = *state;
    link_close(scene->link, 0);
    inboxes_close(scene->inboxes, LINK_SCENE_CORES);
    control_close(&scene->control);
    free(scene);
    return 0;
}
