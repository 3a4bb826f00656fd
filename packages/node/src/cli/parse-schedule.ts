// The check of a schedule, which brings the check of plans: loaded once a schedule is added.
export { parseSchedule } from "@ergon/core";
