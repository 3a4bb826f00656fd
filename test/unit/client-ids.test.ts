import { createIdFactory, isId, seededRandom } from "@ergon/core/engine";
import { expect, test } from "vitest";

test("an id that is made up begins with no dash, so that it is never taken for an option of a command", () => {
  const newId = createIdFactory(seededRandom(1));

  const ids = Array.from({ length: 5_000 }, newId);

  expect(ids.filter((id) => !isId(id) || id.startsWith("-"))).toEqual([]);
  expect(new Set(ids).size).toBe(ids.length);
});
