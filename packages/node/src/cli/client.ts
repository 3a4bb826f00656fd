// The client, loaded once a command connects.
export { connect } from "@ergon/core";
