import type { Command } from "commander";

import { exitCodes } from "../exit-codes.ts";
import type { Finding } from "../findings.ts";
import type { Paint } from "../output.ts";
import type { Cli } from "../session.ts";

const examples = `
Exit code 1 when something must be fixed; notes do not count.

Examples:
  ergon doctor --nats nats://nats-1:4222
  ergon doctor --monitor http://127.0.0.1:8222 --json`;

const paints: Readonly<Record<Finding["level"], Paint>> = { good: "green", note: "yellow", bad: "red" };

export function doctor(command: Command, cli: Cli): void {
  command
    .description(
      "Checks the server's version, sync settings, replicas, clock, permissions and nodes, and says which guarantees hold under them. Writes a scratch key into each bucket to test whether the bucket accepts writes.",
    )
    .option("--monitor <url>", "the server's monitoring URL, such as http://HOST:8222; only it shows the sync setting")
    .addHelpText("after", examples)
    .action(
      cli.action(["connection"], async (session, { monitor }: { monitor?: string }) => {
        const { examine } = await import("../examination.ts");
        const findings = await examine(session, monitor);
        const { output } = session;
        if (output.json) for (const finding of findings) output.value(finding);
        else
          output.table(
            ["", "what", "finding"],
            findings.map(({ level, topic, text }) => [
              { text: level, paint: paints[level] },
              { text: topic },
              { text },
            ]),
          );
        return findings.some(({ level }) => level === "bad") ? exitCodes.failed.code : exitCodes.done.code;
      }),
    );
}
