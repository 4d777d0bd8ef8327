import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readVectors, testWithVectors } from '../types/vectors.ts';
import { openAccess, openWorld, unlimitedAccess } from './harness.ts';

type Parameter = { readonly name: string; readonly required?: boolean };
type Method = {
  readonly name: string;
  readonly summary: string;
  readonly params: readonly Parameter[];
  readonly result: { readonly schema: { readonly $ref: string } };
};
type Document = { readonly openrpc: string; readonly methods: readonly Method[] };

const world = await openWorld({}, { ...unlimitedAccess(), access: openAccess({ debug: true }) });
const document = (await world.ask('rpc.discover')) as Document;

test('a node says which methods it has, and has them', async () => {
  assert.equal(document.openrpc, '1.3.2');
  assert.ok(document.methods.length > 50);
  for (const { name, summary, params, result } of document.methods) {
    assert.ok(summary.length > 3, name);
    assert.match(result.schema.$ref, /^#\/components\/schemas\/\w+$/);
    const isOverSocket = /subscribe$/.test(name);
    const unknown = (await world.call(name, ...params.map(() => null))).error?.code === -32601;
    assert.equal(unknown, isOverSocket, name);
    if (isOverSocket) continue;
    const tooMany = await world.call(name, ...params.map(() => null), null);
    assert.equal(tooMany.error?.code, -32602, `${name} takes ${params.length} parameters`);
    assert.match(tooMany.error?.message ?? '', /too many arguments/);
  }
});

testWithVectors("parameters are those of Ethereum's execution-apis", 'execution-apis', () => {
  const { methods } = readVectors<Document>('execution-apis/openrpc.json');
  let compared = 0;
  for (const { name, params } of methods) {
    const ours = document.methods.find((method) => method.name === name);
    if (ours === undefined) continue;
    compared++;
    assert.ok(ours.params.length >= params.length, `${name} takes ${params.length} parameters`);
  }
  assert.ok(compared >= 30, `${compared} methods compared`);
});
