import { isErgonError, isInstance, type Client } from "@ergon/core";
import type { Command } from "commander";

import { exitCodes } from "../exit-codes.ts";
import { knownMachines, machineNotFound } from "../known-machines.ts";
import type { Output } from "../output.ts";
import type { Cli } from "../session.ts";

const examples = `
Examples:
  ergon migrate order --from 1                 to the newest version with a migration from 1
  ergon migrate order --from 2 --to 1          back, if version 1 has a migration from 2

Instances are moved by themselves when an event or a timer reaches them; this moves those that sleep too. Prints each that
could not be moved: it is as it was. Exit code 1 when there is one.`;

interface Flags {
  readonly from: string;
  readonly to?: string | undefined;
}

/** The number of migrations in flight at once. */
const AT_ONCE = 100;

export function migrate(command: Command, cli: Cli): void {
  command
    .description(
      "Moves all live instances of one version of a machine to another version, by the migration that the machine defines.",
    )
    .argument("<machine>", "the machine's name")
    .requiredOption("--from <version>", "the version of the instances now")
    .option("--to <version>", "the version to move them to (default: the newest with a migration from --from)")
    .addHelpText("after", examples)
    .action(
      cli.clientAction(async ({ output }, client, machine: string, { from, to }: Flags) => {
        const ids = await instancesOf(client, machine, from);
        if (ids.length === 0) await requireMachine(client, machine);
        const counts = await migrateAll(client, output, ids, { from, to });
        if (output.json) output.value({ machine, from, ...counts });
        else
          output.line(
            `${counts.moved} of ${ids.length} instances of ${machine}@${from} moved, ${counts.stayed} stayed`,
          );
        return counts.stayed === 0 ? exitCodes.done.code : exitCodes.failed.code;
      }),
    );
}

/** Throws `MACHINE_NOT_FOUND` if no node knows the machine, because a misspelt name has no instances either. */
async function requireMachine(client: Client, machine: string): Promise<void> {
  const known = await knownMachines(client);
  if (!known.some((name) => name.startsWith(`${machine}@`))) throw machineNotFound(machine, known);
}

async function instancesOf(client: Client, machine: string, version: string): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const view of client.listAll({ machine, status: "running", limit: 1_000 }))
    if (isInstance(view) && view.version === version) ids.push(view.id);
  return ids;
}

async function migrateAll(
  client: Client,
  output: Output,
  ids: readonly string[],
  { from, to }: Flags,
): Promise<{ readonly moved: number; readonly stayed: number }> {
  const waiting = ids.values();
  let moved = 0;
  let stayed = 0;
  const inTurn = async (): Promise<void> => {
    for (const id of waiting) {
      const fault = await migrateOne(client, id, from, to);
      if (fault === undefined) moved++;
      else {
        stayed++;
        if (output.json) output.value({ id, ...fault });
        else output.line(id, `${fault.error}: ${fault.message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, inTurn));
  return { moved, stayed };
}

interface Fault {
  readonly error: string;
  readonly message: string;
}

/** Returns the reason why the instance did not move. An instance that has ended meanwhile needs no other version. */
async function migrateOne(
  client: Client,
  id: string,
  from: string,
  to: string | undefined,
): Promise<Fault | undefined> {
  try {
    const { version } = await client.instance(id).migrate(to);
    if (version !== from) return undefined;
    return { error: "MIGRATION_FAILED", message: `no node knows a version that takes over version ${from}` };
  } catch (error) {
    if (!isErgonError(error) || error.kind === "unavailable") throw error;
    return error.code === "TASK_ENDED" ? undefined : { error: error.code, message: error.message };
  }
}
