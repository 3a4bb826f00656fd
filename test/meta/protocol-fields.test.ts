import { expect, test } from "vitest";

import { readText } from "../support/documents.ts";

const page = readText("docs/protocol.md");

/** Types of the wire and of the record, where each stands, and the sections that name its fields. */
const types: readonly (readonly [name: string, file: string, ...sections: string[]])[] = [
  ["TaskView", "core/src/views/task-view.ts", "Replies"],
  ["HistoryView", "core/src/views/task-view.ts", "Replies"],
  ["Failure", "core/src/task/task-context.ts", "Replies"],
  ["MachineView", "core/src/views/machine-view.ts", "Instances of machines"],
  ["ChildView", "core/src/views/machine-view.ts", "Instances of machines"],
  ["PlanFields", "core/src/plan/view.ts", "Plans and schedules"],
  ["StepView", "core/src/plan/view.ts", "Plans and schedules"],
  ["ScheduleContext", "core/src/schedule/schedule-context.ts", "Plans and schedules"],
  ["ScheduleCounts", "core/src/schedule/schedule-context.ts", "Plans and schedules"],
  ["Run", "core/src/schedule/schedule-context.ts", "Plans and schedules"],
  ["BatchRequest", "core/src/wire/messages.ts", "Batch"],
  ["BatchEntry", "core/src/wire/messages.ts", "Batch"],
  ["BatchReply", "core/src/wire/messages.ts", "Batch"],
  ["TaskRequest", "core/src/wire/submit.ts", "Batch", "Options"],
  ["ListRequest", "core/src/views/list.ts", "The cluster"],
  ["ListReply", "core/src/views/list.ts", "The cluster"],
  ["NodeView", "core/src/wire/messages.ts", "The cluster"],
  ["AgentView", "core/src/wire/messages.ts", "The cluster"],
  ["ShardView", "core/src/wire/messages.ts", "The cluster"],
  ["PresenceBody", "agents/src/presence.ts", "SDK agents"],
  ["CreditChange", "agents/src/capacity.ts", "SDK agents"],
  ["TaskContext", "core/src/task/task-context.ts", "The record"],
  ["TaskSpec", "core/src/task/spec.ts", "The record"],
  ["TaskOptions", "core/src/task/spec.ts", "The record"],
  ["RetryPolicy", "core/src/task/retry-policy.ts", "The record"],
  ["MachineMeta", "core/src/machines/machine-meta.ts", "The record"],
  ["ParentLink", "core/src/actor/parent-link.ts", "The record"],
  ["Tell", "core/src/machines/tell.ts", "The record"],
];

test.for(types)("docs/protocol.md names every field of %s", ([name, file, ...sections]) => {
  const named = new Set(sections.flatMap((heading) => wordsOf(sectionOf(heading))));

  expect(fieldsOf(readText(`packages/${file}`), name).filter((field) => !named.has(field))).toEqual([]);
});

/** The fields of an interface, as its source has them. */
function fieldsOf(source: string, name: string): readonly string[] {
  const [, body = ""] = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n(.*?)^\\}`, "ms").exec(source) ?? [];
  const fields = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(([, field = ""]) => field);
  if (fields.length === 0) throw new Error(`no fields of ${name} were found`);
  return fields;
}

function sectionOf(heading: string): string {
  const [, section] = new RegExp(`^## ${heading}\\n(.*?)(?=^## |(?![^]))`, "ms").exec(page) ?? [];
  if (section === undefined) throw new Error(`docs/protocol.md has no section "${heading}"`);
  return section;
}

/** What stands between back-ticks, word by word. */
function wordsOf(text: string): readonly string[] {
  return [...text.matchAll(/`([^`]+)`/g)].flatMap(([, code = ""]) => code.match(/\w+/g) ?? []);
}
