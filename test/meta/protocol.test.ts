import { crc32 } from "node:zlib";

import { taskDefaults, taskLimits, taskStatuses } from "@ergon/core";
import { H, PROTOCOL, actorVerbs, clusterVerbs, createNames, numberFields, shardOf } from "@ergon/core/engine";
import { expect, test } from "vitest";

import { plain, readText, tableRows } from "../support/documents.ts";

const page = readText("docs/protocol.md");

test("docs/protocol.md names the version that is spoken", () => {
  expect(page).toContain(`Protocol version ${PROTOCOL}.`);
});

test("docs/protocol.md has every option with its header, kind, limits and default", () => {
  const told = tableRows(page, ["option", "header"]).map(([option, header, kind, min, max, fallback]) => {
    return {
      path: plain(option),
      header: plain(header),
      kind,
      min: Number(min),
      max: Number(max),
      fallback: Number(fallback),
    };
  });

  expect(told).toEqual(
    numberFields.map(({ path, header, kind, min, max, fallback }) => ({ path, header, kind, min, max, fallback })),
  );
});

test("every option of a task has a spelling on the wire", () => {
  const { retry, ...own } = taskDefaults;
  // A list: it has a header of its own beside the table of numbers.
  const { never: _, ...numbers } = retry;

  expect(numberFields.map(({ target }) => target).toSorted()).toEqual(
    [...Object.keys(own), ...Object.keys(numbers)].toSorted(),
  );
});

test("docs/protocol.md has every header", () => {
  const missing = Object.values(H).filter(
    (header) => !page.includes(`\`${header}\``) && !page.includes(`\`${header}:`),
  );

  expect(missing).toEqual([]);
});

test("docs/protocol.md has every subject", () => {
  const names = createNames("default");
  const subjects = [
    names.submit("<driver>"),
    names.batch,
    ...actorVerbs.map((verb) => names.verb(verb, "<id>")),
    ...clusterVerbs.map((verb) => names.cluster(verb)),
    names.reply("<n>" as never, "<id>", "<attempt>" as never),
    names.plainAgent("<driver>"),
    names.agent("<driver>", "<agent>"),
    names.control("<agent>"),
    names.recorded("<agent>", "<id>.<attempt>"),
    names.presence,
    names.roll,
    names.owned("<n>" as never),
    names.event("task", "<status>", "<id>"),
    names.node("<node>"),
    names.nodeVerb("<node>", "credit"),
  ].map((subject) => subject.replace(`${names.root}.`, "…"));
  const told = page.replaceAll("`…node.<node>.list`, `.status`, `.credit`", "`…node.<node>.credit`");

  expect(subjects.filter((subject) => !told.includes(`\`${subject}\``))).toEqual([]);
});

test("docs/protocol.md has every bucket and stream, and what is in it", () => {
  const names = createNames("<namespace>".slice(1, -1), "prefix");

  expect(names.recordBucket(0)).toBe("prefix_namespace_tasks_0");
  expect(page).toContain("`<prefix>_<namespace>_tasks_<b>`");
  expect(names.leaseBucket).toBe("prefix_namespace_leases");
  expect(page).toContain("`<prefix>_<namespace>_leases`");
  expect(page).toContain(`\`${names.configurationKey}\``);
});

test("docs/protocol.md has every status", () => {
  expect(taskStatuses.filter((status) => !page.includes(`\`${status}\``))).toEqual([]);
});

test("docs/protocol.md has the shards of its examples right", () => {
  const rows = tableRows(page, ["id", "CRC-32"]);

  expect(rows.length).toBeGreaterThan(2);
  for (const [cell, sum, ...shards] of rows) {
    const id = plain(cell);
    expect([Number(sum), ...shards.map(Number)]).toEqual([
      crc32(id.replace(/=.*/, "")),
      shardOf(id, 8),
      shardOf(id, 64),
      shardOf(id, 256),
    ]);
  }
});

test("docs/protocol.md has the limits of a task", () => {
  const count = (value: number): string => value.toLocaleString("en-US");
  const told = [
    `${taskLimits.tags} tags of ${taskLimits.tagLength} characters`,
    `${taskLimits.arguments} entries, ${count(taskLimits.argumentsBytes)} bytes`,
    `${count(taskLimits.resourceLength)} characters`,
    `${taskLimits.contentTypeLength} characters`,
    `${taskLimits.neverCodes} codes of ${taskLimits.tagLength} characters`,
    `\`Ergon-Reason\` up to ${count(taskLimits.reasonLength)}`,
    `${count(taskLimits.batchTasks)} tasks`,
    `${taskLimits.historyEntries} entries`,
    `${taskLimits.maxDurationMs / 86_400_000} days`,
  ];

  expect(told.filter((text) => !page.includes(text))).toEqual([]);
});
