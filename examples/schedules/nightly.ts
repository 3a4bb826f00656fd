// A report for each night, at three in the morning in Berlin, also in the nights when the clocks change.
//
//   ./ergon dev
//   node scripts/bootstrap.mjs examples/schedules/nightly.ts           in a second terminal: adds the schedule, shows it, makes its reports
//   ./ergon schedule trigger nightly-report                            in a third terminal: a report at once
//
// A separate schedule makes a report every second, until you remove it:
//
//   REPORT_EVERY=1s node scripts/bootstrap.mjs examples/schedules/nightly.ts
//   ./ergon schedule rm every-1s
//
// The command line can add a schedule too:
//
//   ./ergon schedule add nightly --cron "0 3 * * *" --tz Europe/Berlin --driver report --payload '{"of": "yesterday"}'
//   ./ergon schedule show nightly

import { createAgent } from "@ergon/agents";
import { connect, describeSchedule, type ScheduleSpec } from "@ergon/core";

const nats = { servers: process.env["NATS_URL"] ?? "nats://127.0.0.1:4222" };
const { REPORT_EVERY: every } = process.env;
const when = every === undefined ? { cron: "0 3 * * *", timeZone: "Europe/Berlin" } : { every };

const agent = createAgent({
  nats,
  driver: "report",
  handler: (attempt) => {
    console.log("report of", attempt.json<{ of: string }>().of);
    return { pages: 3 };
  },
});
await agent.start();

const client = await connect({ nats });
const spec: ScheduleSpec = {
  ...when,
  // If a report takes a day, the next one waits for it. The nights of a week without any node are caught up with.
  overlap: "queue",
  catchUp: { limit: 7, window: "7d" },
  task: { driver: "report", payload: { of: "all branches" }, attemptTimeout: "2h", retry: { maxAttempts: 5 } },
};
// The id is unique: a restart of this program adds no second schedule.
const id = every === undefined ? "nightly-report" : `every-${every}`;
const nightly = await client.schedule({ id, ...spec });
console.log("next:", describeSchedule(await nightly.get(), 1).next);
await client.close();
