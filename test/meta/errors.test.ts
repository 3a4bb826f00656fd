import { errorCodes } from "@ergon/core";
import { expect, test } from "vitest";

import { plain, readText, tableRows } from "../support/documents.ts";

const page = readText("docs/errors.md");

test("docs/errors.md has every code with its kind and status, in the order of the code", () => {
  const told = tableRows(page, ["code", "kind", "status"]).map(([code, kind, status]) => [
    plain(code),
    kind,
    Number(status),
  ]);

  expect(told).toEqual(Object.entries(errorCodes).map(([code, { kind, status }]) => [code, kind, status]));
});

test("docs/errors.md has every kind", () => {
  const told = tableRows(page, ["kind", "class"]).map(([kind]) => plain(kind));

  expect(new Set(told)).toEqual(new Set(Object.values(errorCodes).map(({ kind }) => kind)));
});

test("docs/errors.md says of every code what it means, and what to do unless it is reserved", () => {
  const silent = tableRows(page, ["code", "kind", "status"]).filter(
    ([, , , meaning = "", advice = ""]) => meaning === "" || (advice === "" && !meaning.startsWith("Reserved")),
  );

  expect(silent).toEqual([]);
});
