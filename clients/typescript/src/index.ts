export type { Clock } from "./clock.ts";
export { type Code, DispatchdError, NoAnswerError, ProblemError, type Retry, UnexpectedAnswerError } from "./errors.ts";
export type { Answer, Batch, Item, LookupOptions, Refused, Route, Together } from "./lookups.ts";
export { Phone } from "./phone.ts";
export type { CallOptions, Confirmation, Device, HandleDetails, Lease, LinkCode, PhoneOptions, Proved, SignUp, Verification } from "./phone.ts";
