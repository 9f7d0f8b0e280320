#include "control/commands/command.h"
#include "control/db/migrate.h"

int command_migrate(const struct options *options)
{
    char error[1024];
    int applied;
    if (options->words_count > 1)
        return command_misuse("migrate takes no words");
    if (!options->database_url)
        return command_fail("no database: set DATABASE_URL, e.g. "
                            "postgresql:///ringbridge?host=/run/postgresql");
    struct db_config config = migrate_config(options->database_url);
    struct db *db = db_open(&config);
    if (!db)
        return command_fail("out of memory");
    bool done = migrate_run(db, stdout, &applied, error, sizeof error);
    db_close(db);
    if (!done)
        return command_fail("%s", error);
    if (applied == 0)
        printf("nothing to do: the schema is at %d\n", migrate_steps_count);
    return COMMAND_DONE;
}
