// Versions, as far as a floor needs them.

/** Whether "24.1.0" (or "v24.1.0") is at least "22.18". */
export function atLeast(version, floor) {
  const [major, minor] = numbers(version);
  const [wantedMajor, wantedMinor] = numbers(floor);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function numbers(version) {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  return [major, minor];
}
