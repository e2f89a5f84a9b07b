// Rewrites the committed files that are made from code. Unit tests fail while one of them is out of date.

import { configurationPage } from "../src/config/docs.ts";

await Bun.write(`${import.meta.dir}/../docs/configuration.md`, configurationPage());
