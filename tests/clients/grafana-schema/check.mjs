// Checks dashboards against Grafana's own types: each becomes an object literal that the TypeScript compiler checks, unknown keys
// included. Usage: node check.mjs FILE...; prints what does not fit, and fails if anything does not.
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = dirname(fileURLToPath(import.meta.url));

// The plugins with typed options: the folder of each, and how its module is called.
const typed = {
  heatmap: ['heatmap', 'Heatmap'],
  logs: ['logs', 'Logs'],
  nodeGraph: ['nodegraph', 'NodeGraph'],
  stat: ['stat', 'Stat'],
  table: ['table', 'Table'],
  timeseries: ['timeseries', 'TimeSeries'],
};
// Its options are not typed: there are none.
const untyped = ['traces'];

const prelude = `
import type { Dashboard, Panel, TableFieldOptions, GraphFieldConfig } from '@grafana/schema';
${Object.values(typed).map(([folder, name]) => `import type * as ${folder} from '@grafana/schema/dist/esm/raw/composable/${folder}/panelcfg/x/${name}PanelCfg_types.gen';`).join('\n')}
// JSON has the values of enumerations, not their members.
type Plain<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T
  : T extends readonly (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type PanelOf<Options, Custom> = Plain<Omit<Panel, 'options' | 'fieldConfig' | 'transformations'>> & {
  options: Plain<Partial<Options>>;
  fieldConfig: { defaults: { unit?: string; min?: number; custom?: Plain<Partial<Custom>> }; overrides: Plain<NonNullable<Panel['fieldConfig']>['overrides']> };
  transformations?: { id: string; options: object }[];
};
type Panels = {
${Object.entries(typed).map(([plugin, [folder]]) => `  ${plugin}: PanelOf<${folder}.Options, ${plugin === 'timeseries' ? 'GraphFieldConfig' : plugin === 'table' ? 'TableFieldOptions' : '{}'}>;`).join('\n')}
${untyped.map((plugin) => `  ${plugin}: PanelOf<{}, {}>;`).join('\n')}
};
type Shell = Plain<Omit<Dashboard, 'panels'>>;
`;

function literal(file) {
  const { panels, ...shell } = JSON.parse(readFileSync(file, 'utf8'));
  const lines = [`export const shell: Shell = ${JSON.stringify(shell)};`];
  panels.forEach((panel, number) => {
    if (!(panel.type in typed) && !untyped.includes(panel.type)) {
      throw new Error(`${file}: no types are known of a panel of type ${panel.type}`);
    }
    lines.push(`export const panel${number}: Panels['${panel.type}'] = ${JSON.stringify(panel)};`);
  });
  return prelude + lines.join('\n');
}

const files = new Map(process.argv.slice(2).map((file, number) => [join(here, `${number}-${basename(file, '.json')}.ts`), literal(file)]));
const options = { strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
const host = ts.createCompilerHost(options);
const { fileExists, readFile, getSourceFile } = host;
host.fileExists = (name) => files.has(name) || fileExists.call(host, name);
host.readFile = (name) => files.get(name) ?? readFile.call(host, name);
host.getSourceFile = (name, version, ...rest) =>
  files.has(name) ? ts.createSourceFile(name, files.get(name), version) : getSourceFile.call(host, name, version, ...rest);
const found = ts.getPreEmitDiagnostics(ts.createProgram([...files.keys()], options, host));
for (const one of found) {
  const text = ts.flattenDiagnosticMessageText(one.messageText, '\n  ');
  const near = one.file?.text.slice(one.start, one.start + 80) ?? '';
  console.log(`${basename(one.file?.fileName ?? 'no file')}: ${text}\n  at ${near}`);
}
process.exitCode = found.length > 0 ? 1 : 0;
