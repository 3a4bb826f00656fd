// Versions, as far as a floor needs them.

/** Whether "24.1.0" (or "v24.1.0") is at least "22.18". */
export function atLeast(version, floor) {
  const wanted = numbers(floor);
  const differs = numbers(version).map((number, at) => number - wanted[at]);
  return (differs.find((difference) => difference !== 0) ?? 0) >= 0;
}

function numbers(version) {
  const [major = 0, minor = 0, patch = 0] = version.replace(/^v/, "").split(".").map(Number);
  return [major, minor, patch];
}
