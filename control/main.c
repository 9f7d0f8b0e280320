/* ringbridge-control: reads its options, finds the command, runs it. */
#include "common/confine.h"
#include "control/commands/command.h"
#include "control/serve.h"

#include <signal.h>

static int serve(const struct options *options)
{
    char error[512];
    if (options->words_count > 1)
        return command_misuse("serve takes no words");
    if (!options_check_serving(options, error, sizeof error))
        return command_fail("%s\n  `ringbridge-control doctor` looks at everything.", error);
    if (options->check) {
        printf("The configuration is fine.\n");
        return COMMAND_DONE;
    }
    log_open("ringbridge-control", options->log_format, options->log_level);
    return serve_run(options);
}

static const struct command {
    const char *name;
    int (*run)(const struct options *options);
    const char *usage, *what;
} commands[] = {
    {"migrate", command_migrate, "", "bring the database's schema up to date; safe to repeat"},
    {"org", command_org, "add NAME | list", "organisations; add prints the new id"},
    {"number", command_number,
     "add NUMBER --org NAME | list | on NUMBER | off NUMBER | remove NUMBER | search | buy "
     "[NUMBER] --org NAME | release NUMBER --org NAME | verify [NUMBER] | configure [NUMBER] | "
     "checks | orders | limit | price",
     "whose telephone numbers are whose; bought, set up and given back at Twilio"},
    {"account", command_account, "add --org NAME | list | rotate",
     "accounts of organisations at Twilio; rotate seals every secret anew with the present key"},
    {"config", command_config,
     "set --org NAME --channel voice KEY=VALUE... | unset ... KEY... | show ...",
     "how an organisation's agent behaves; KEY=@FILE reads the value from a file"},
    {"route", command_route,
     "add STEP --org NAME [--number N] [--hours HOURS] ... | list | remove ID",
     "what is done with a call: agent, dial, voicemail, menu, queue, by number and hours"},
    {"voicemail", command_voicemail, "list [--org NAME] | listened ID | archive ID | renew ID",
     "messages that callers left"},
    {"tool", command_tool,
     "add NAME [JSON|@FILE] --org NAME | list | remove NAME | test NAME [ARGUMENTS] | calls [CALL]",
     "functions that the agent may call, and what came of each call"},
    {"appointment", command_appointment,
     "list [all] | book START --org NAME | cancel ID | open --hours H ... | hours | close ID",
     "what agents booked, and when there is something to book"},
    {"message", command_message, "list [--org NAME] | read ID | archive ID | texts [--org NAME]",
     "messages that callers left with the agent; texts: what came by SMS"},
    {"token", command_token, "add --org NAME --role ROLE | list | revoke ID",
     "tokens for people and programs; add prints the token, once"},
    {"audit", command_audit, "list [--org NAME]", "who wanted what changed through the API"},
    {"credential", command_credential,
     "add twilio --org NAME --account SID | add openai --org NAME | list | remove ...",
     "an organisation's own secrets, sealed; read from standard input"},
    {"calls", command_calls,
     "list [--org NAME] | show ID | hangup ID | say ID TEXT | record start|pause|resume|stop ID | "
     "listen ID",
     "what happened and what was said; orders about a live call"},
    {"transfers", command_transfers, "list [--org NAME] | show ID",
     "each time a caller waited for a person: who was called, and what came of it"},
    {"call", command_call,
     "make JSON --org NAME | list | show ID | limits --org NAME [KEY=VALUE...]",
     "calls that we make, one at a time, and how much an organisation may call"},
    {"batch", command_batch,
     "add NAME JSON --org NAME < numbers.csv | list | show NAME | pause NAME | resume NAME | stop "
     "NAME",
     "numbers to be called one after the other, within hours, at a pace"},
    {"dnc", command_dnc, "add NUMBER --org NAME | remove NUMBER --org NAME | list",
     "whom an organisation does not call"},
    {"reconcile", command_reconcile, "--org NAME [--hours-back N] | list [--org NAME]",
     "our record beside the carrier's own lists: repairs what no webhook told, reports the rest"},
    {"recordings", command_recordings,
     "list [--org NAME] | show ID | export ID > FILE | link ID [--minutes N] | delete ID",
     "what was kept of calls, as Ogg Opus: left the caller, right the agent"},
    {"after", command_after, "show --org NAME | set --org NAME KEY=VALUE... | unset ... KEY...",
     "what is done after a call: e-mail, summary"},
    {"endpoint", command_endpoint,
     "add URL --org NAME | add slack --org NAME < URL | list | remove ID | replay ID",
     "an organisation's own systems that hear of its calls; add prints the signing secret, once"},
    {"deliveries", command_deliveries, "list [STATE] [--org NAME] | show ID | replay ID",
     "what went out after calls, what waits, what was given up and why"},
    {"template", command_template,
     "preview [voicemail] [text|html|subject|webhook|slack] --call ID | --sample",
     "what is sent after a call, to be looked at"},
    {"jobs", command_jobs, "list [STATE] [--org NAME] | show ID | retry ID | drop ID",
     "slow work: what waits, what was given up and why"},
    {"doctor", command_doctor, "[--mend]",
     "what is misconfigured, here and at Twilio, and how to mend it; --mend sets up the numbers"},
    {"verify-signature", command_verify_signature, "--url URL [--signature TEXT] < body",
     "which exact string Twilio signs for a request"},
    {"serve", serve, "", "answer webhooks and edges"},
};
static const int commands_count = sizeof commands / sizeof commands[0];

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < commands_count; i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

static void print_help(const struct command *command)
{
    if (command) {
        printf("ringbridge-control %s: %s\n\nUsage: ringbridge-control %s %s\n\n", command->name,
               command->what, command->name, command->usage);
        options_print(stdout, command->name);
        return;
    }
    printf("ringbridge-control: knows whose calls are whose, answers Twilio's webhooks, keeps the "
           "record.\n\nUsage: ringbridge-control COMMAND [WORDS] [FLAGS]   (COMMAND --help says "
           "more)\n\n");
    for (int i = 0; i < commands_count; i++)
        printf("  %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].what);
    printf("\nFlags, each with its environment variable (the flag wins) and [default]:\n\n");
    options_print(stdout, NULL);
    printf("\nThe database: migrate runs as the user of DATABASE_URL, who owns the tables. Other "
           "commands step\ndown to the role ringbridge_admin, serve to ringbridge_serving, which "
           "sees one organisation at a\ntime.\n\nExit status: 0 done, 1 could not be done, 2 wrong "
           "usage.\n");
}

static int run(const struct options *options)
{
    const struct command *command = NULL;
    if (options->version) {
        printf("ringbridge-control %s\n", RINGBRIDGE_VERSION);
        return COMMAND_DONE;
    }
    if (options->words_count > 0) {
        command = find_command(options->words[0]);
        if (!command)
            return command_misuse("there is no command \"%s\"; --help lists them",
                                  options->words[0]);
    }
    if (options->help) {
        print_help(command);
        return COMMAND_DONE;
    }
    if (!command)
        return command_misuse("which command? --help lists them");
    return command->run(options);
}

int main(int argc, char **argv)
{
    struct options options;
    char error[512];
    confine_process();
    signal(SIGPIPE, SIG_IGN);
    log_open("ringbridge-control", LOG_TEXT, LOG_INFO);
    int status = options_read(&options, argc - 1, argv + 1, error, sizeof error)
                     ? run(&options)
                     : command_misuse("%s", error);
    options_close(&options);
    if (fflush(stdout) != 0 && status == COMMAND_DONE)
        status = COMMAND_FAILED;
    return status;
}
