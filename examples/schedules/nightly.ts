// A report for each night, at three in the morning of Berlin, also in the nights when the clocks are changed.
//
//   npm run ergon -- dev
//   node scripts/bootstrap.mjs examples/schedules/nightly.ts           elsewhere: adds it, shows it, does its reports
//
// The same by the command line:
//
//   npm run --silent ergon -- schedule add nightly --cron "0 3 * * *" --tz Europe/Berlin --driver report --overlap queue
//   npm run --silent ergon -- schedule show nightly
//   npm run --silent ergon -- schedule trigger nightly

import { createAgent } from "@ergon/agents";
import { connect, describeSchedule, type ScheduleSpec } from "@ergon/core";

const nats = { servers: process.env["NATS_URL"] ?? "nats://127.0.0.1:4222" };
/** To see it at work: REPORT_EVERY=1s */
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
const nightly = await client.schedule({ id: "nightly", ...spec });
console.log("next:", describeSchedule(await nightly.get(), 1).next);
await client.close();
