import { InvalidError } from "@ergon/core";
import type { Command } from "commander";

import { awaitEnd, endText } from "../ended.ts";
import { exitCodes } from "../exit-codes.ts";
import { contentTypeOf, isBrokenJson, readPayload } from "../payload.ts";
import { durationArgument, type Cli } from "../session.ts";
import { addTaskFlags, taskRequest, type TaskFlags } from "../task-flags.ts";

interface Flags extends TaskFlags {
  readonly wait?: boolean;
  readonly timeout?: number;
}

const examples = `
Examples:
  ergon submit echo hello --wait
  ergon submit http --resource https://example.org --attempt-timeout 10s --max-attempts 5
  ergon submit resize @photo.jpg --id photo-7 --tag album
  tar c . | ergon submit backup - --priority 9

Prints the task's id once it is stored; with --wait the exact bytes of its response.
Where the --id is that of a task that has failed or was cancelled, it says so, and ends with exit code 1.`;

export function submit(command: Command, cli: Cli): void {
  command
    .description(
      "Stores a task, and prints its id. A repeated submit with the same --id finds the task that exists, and stores no second one.",
    )
    .argument("<driver>", "the driver that does the work")
    .argument("[payload]", "the payload; - reads standard input, @file reads a file")
    .option("--wait", "wait for the task's end and print the response; exit code 1 after a failure")
    .option("--timeout <duration>", "stop --wait after this time, such as 30s, with exit code 6", durationArgument)
    .addHelpText("after", examples);
  addTaskFlags(command).action(
    cli.clientAction(async (session, client, driver: string, payload: string | undefined, flags: Flags) => {
      if (flags.timeout !== undefined && flags.wait !== true)
        throw new InvalidError("INVALID_OPTION", "--timeout needs --wait: add --wait, or omit --timeout");
      const data = await readPayload(session.io, payload);
      if (flags.contentType === undefined && !session.output.json && isBrokenJson(data))
        session.output.note("ergon: the payload looks like JSON but does not parse; it is sent as text");
      const task = await client.submit(taskRequest(driver, data, contentTypeOf(data), flags));
      if (flags.wait === true) return awaitEnd(session, client, task.id, flags.timeout);
      if (session.output.json) session.output.value(task.view);
      else session.output.line(task.id);
      const { status } = task.view;
      if (status !== "failed" && status !== "cancelled") return undefined;
      session.output.note(
        `${endText(task.view)}; it does not run again, "ergon retry ${task.id}" runs it as a new task`,
      );
      return exitCodes.failed.code;
    }),
  );
}
