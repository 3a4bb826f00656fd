import { InvalidError, formatDuration, type TaskRequest } from "@ergon/core";
import { numberFields } from "@ergon/core/engine";
import { Option, type Command } from "commander";

import { durationText, repeated } from "./session.ts";

const summaries: Readonly<Record<string, string>> = {
  priority: "0 to 9; tasks with a higher priority start first",
  queueTimeout: "longest wait for an agent, such as 1h",
  attemptTimeout: "longest run of one attempt, such as 30s",
  heartbeatTimeout: "longest silence of a running attempt, such as 10s; 0 requires no heartbeats",
  totalTimeout: "longest time from submit to end, such as 2d",
  cancelGrace: "longest time to stop after a cancel, such as 10s",
  retention: "how long the task stays readable after its end, such as 1h",
  maxLost: "how many attempts may be lost with their agent",
  "retry.maxAttempts": "how many attempts may fail; 1 never retries",
  "retry.initial": "pause before the second attempt, such as 1s",
  "retry.factor": "each pause is this many times the previous one",
  "retry.max": "longest pause between two attempts, such as 1m",
  "retry.jitter": "random share of each pause, 0 to 1",
};

/** Adds a flag for each numeric option, with the name of its header. */
const numberFlags = numberFields.map(({ path, header, kind, fallback, retry }) => {
  const flag = `--${header.slice("Ergon-".length).toLowerCase()} <${kind === "duration" ? "duration" : "n"}>`;
  const shown = kind === "duration" ? formatDuration(fallback) : String(fallback);
  const option = new Option(flag, `${summaries[path] ?? path} (default: ${shown})`);
  return { path, retry, option: kind === "duration" ? option.argParser(durationText) : option };
});

export interface TaskFlags {
  readonly id?: string;
  readonly correlationId?: string;
  readonly resource?: string;
  readonly arg?: readonly string[];
  readonly tag?: readonly string[];
  readonly contentType?: string;
  readonly delay?: string;
  readonly notBefore?: string;
  readonly retryNever?: readonly string[];
  readonly [numberFlag: string]: unknown;
}

/** Adds a flag to a command for every option of a task. */
export function addTaskFlags(command: Command): Command {
  command
    .optionsGroup("Task:")
    .option("--id <id>", "the task's id and idempotency key; Ergon generates one when absent")
    .option("--correlation-id <id>", "an id that related tasks share")
    .option("--resource <uri>", "the URI of the resource that the task works on")
    .option("--arg <name=value>", "an argument for the agent; repeatable", repeated)
    .option("--tag <tag>", "a tag to list by; repeatable", repeated)
    .option("--content-type <type>", "the payload's content type; Ergon guesses it when absent")
    .option("--delay <duration>", "start no attempt before this time has passed, such as 5m", durationText)
    .option("--not-before <time>", "start no attempt before this time: 2030-01-31T08:00:00Z")
    .option("--retry-never <code>", "never retry a failure with this code; repeatable", repeated);
  for (const { option } of numberFlags) command.addOption(option);
  return command;
}

/** Makes the task that flags and payload describe. The client checks the values with everything else. */
export function taskRequest(
  driver: string,
  payload: Uint8Array,
  contentType: string | undefined,
  flags: TaskFlags,
): TaskRequest {
  const numbers: Record<string, unknown> = {};
  const retry: Record<string, unknown> = {};
  for (const { path, retry: isRetry, option } of numberFlags) {
    const value = flags[option.attributeName()];
    if (value === undefined) continue;
    if (isRetry) retry[path.slice("retry.".length)] = value;
    else numbers[path] = value;
  }
  return {
    driver,
    payload,
    id: flags.id,
    correlationId: flags.correlationId,
    resource: flags.resource,
    arguments: flags.arg === undefined ? undefined : parsePairs(flags.arg),
    tags: flags.tag,
    contentType: flags.contentType ?? contentType,
    delay: flags.delay,
    notBefore: flags.notBefore,
    ...numbers,
    ...(flags.retryNever === undefined && Object.keys(retry).length === 0
      ? {}
      : { retry: { ...retry, never: flags.retryNever } }),
  };
}

function parsePairs(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new InvalidError("INVALID_OPTION", `--arg ${JSON.stringify(pair)} must be written name=value`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
