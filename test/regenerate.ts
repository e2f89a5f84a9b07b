// npm run regenerate: rewrites the committed files that are made from code. Tests fail while one of them is out of date.
import { dashboardPage } from "../deploy/grafana/dashboard.ts";
import { configurationPage } from "../src/config/docs.ts";
import { generatedFile, openApiPage, schemaPage } from "./helpers/generated.ts";

await generatedFile("configuration.md").write(configurationPage());
await generatedFile("../deploy/grafana/dashboards/hop.json").write(dashboardPage());
await generatedFile("openapi.json").write(openApiPage());
await generatedFile("schema.sql").write(await schemaPage());
