// A report for each night, at three in the morning of Berlin, also in the nights when the clocks are changed.
//
//   ./ergon dev
//   node scripts/bootstrap.mjs examples/schedules/nightly.ts           elsewhere: adds it, shows it, does its reports
//   ./ergon schedule trigger nightly-report                            elsewhere: one at once
//
// To see it at work, a schedule of its own, until it is removed:
//
//   REPORT_EVERY=1s node scripts/bootstrap.mjs examples/schedules/nightly.ts
//   ./ergon schedule rm every-1s
//
// One more by the command line:
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
  // A report that takes a day holds up the next; nights without any node are made up for, a week of them.
  overlap: "queue",
  catchUp: { limit: 7, window: "7d" },
  task: { driver: "report", payload: { of: "all branches" }, attemptTimeout: "2h", retry: { maxAttempts: 5 } },
};
// The id makes it one schedule, however often this is started.
const id = every === undefined ? "nightly-report" : `every-${every}`;
const nightly = await client.schedule({ id, ...spec });
console.log("next:", describeSchedule(await nightly.get(), 1).next);
await client.close();
