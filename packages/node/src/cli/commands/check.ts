import type { Verdict } from "@ergon/core";
import type { Command } from "commander";

import type { CheckedGroup } from "../../check-instances.ts";
import { exitCodes } from "../exit-codes.ts";
import { cell } from "../format.ts";
import type { Paint } from "../output.ts";
import { repeated, type Cli } from "../session.ts";

const examples = `
Examples:
  ergon check --machines ./new/machines.ts     before these are deployed
  ergon check --machines ./new/machines.ts --json | jq 'select(.kind == "breaks")'

Reads every live instance and starts nothing; nodes need not be there. Exit code 1 when one would break.`;

const paints: Readonly<Record<Verdict["kind"], Paint>> = { fits: "green", moves: "cyan", breaks: "red" };

export function check(command: Command, cli: Cli): void {
  command
    .description(
      "Checks whether every live instance could continue on nodes that know only the given machines: its version, state, actors, timers and migration. Changes nothing.",
    )
    .option("--machines <file>", "a module that exports machines; repeatable (ERGON_MACHINES)", repeated)
    .addHelpText("after", examples)
    .action(
      cli.action(["connection", "node"], async (session) => {
        const { examine } = await import("../services/check.ts");
        const { output } = session;
        const groups = await examine(session);
        if (output.json) for (const group of groups) output.value(group);
        else if (groups.length > 0)
          output.table(["machine", "version", "state", "instances", "", "why"], groups.map(rowOf));
        const broken = countOf(groups.filter(({ kind }) => kind === "breaks"));
        output.note(`ergon: ${countOf(groups)} live instances, ${broken} would break`);
        return broken === 0 ? exitCodes.done.code : exitCodes.failed.code;
      }),
    );
}

function rowOf({ machine, version, state, kind, to, reason, count, example }: CheckedGroup) {
  const verdict = kind === "moves" ? `moves to ${to ?? ""}` : kind;
  const why = reason === undefined ? "" : `${reason} (${example})`;
  return [cell(machine), cell(version), cell(state), cell(count), { text: verdict, paint: paints[kind] }, cell(why)];
}

function countOf(groups: readonly CheckedGroup[]): number {
  return groups.reduce((sum, { count }) => sum + count, 0);
}
