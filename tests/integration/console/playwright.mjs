// The packages of tests/tools/node. Its folder is in NODE_PACKAGES, because none of its parents is one of this file.

import { createRequire } from "node:module";
import { env } from "node:process";

const require = createRequire(`${env.NODE_PACKAGES}/package.json`);

export const { chromium } = require("playwright-core");

/** The file of axe-core that a page runs. */
export const axeFile = () => require.resolve("axe-core/axe.min.js");
