// This module checks schedules and the plans in them. A command loads it when it adds a schedule.
export { parseSchedule } from "@ergon/core";
