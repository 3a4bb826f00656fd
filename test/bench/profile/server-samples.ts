import { gunzipSync } from "node:zlib";

import { Profile } from "pprof-format";

import type { Frame, Sample } from "./sample.ts";

const NS_PER_US = 1_000;

/** The samples of a CPU profile as Go's pprof writes it: https://github.com/google/pprof/blob/main/proto/profile.proto */
export function samplesOfServer(pprof: Uint8Array): readonly Sample[] {
  const profile = Profile.decode(gunzipSync(pprof));
  const text = (index: number | bigint): string => profile.stringTable.strings[Number(index)] ?? "";
  const functions = new Map(
    profile.function.map((each) => [each.id, { name: text(each.name), file: text(each.filename) }]),
  );
  const locations = new Map<number | bigint, readonly Frame[]>(
    profile.location.map(({ id, line }) => [id, line.flatMap((each) => functions.get(each.functionId) ?? [])]),
  );
  const nanoseconds = profile.sampleType.findIndex(({ unit }) => text(unit) === "nanoseconds");
  return profile.sample.map(({ locationId, value }) => ({
    stack: locationId.flatMap((id) => locations.get(id) ?? []),
    weight: Number(value[nanoseconds] ?? 0) / NS_PER_US,
  }));
}
