/**
 * What the interpreter knows of code from its first jump on. The library finds it anew in each call,
 * and makes a number of every constant, whether it is reached or not: a millisecond for 24 KiB that
 * a caller has for the 100 gas of the call. Here it is found once for each code of a message, and
 * constants are read when they are pushed.
 */
import { assert } from '#src/lib/failure.ts';

export type JumpTable = {
  /** 1 where a jump may end. */
  readonly jumps: Uint8Array;
  /** By the position behind the opcode; filled as the code runs. */
  readonly pushes: (bigint | undefined)[];
  /** The library's entry of the opcode at each position that is no constant. */
  readonly opcodesCached: unknown[];
};

type Interpreter = { readonly _evm: object; lookupOpInfo(opcode: number): unknown };

const JUMPDEST = 0x5b;
const PUSH1 = 0x60;
const PUSH32 = 0x7f;

/** By machine, as its opcodes are its own; and by the code itself, which a message holds once. */
const tables = new WeakMap<object, WeakMap<Uint8Array, JumpTable>>();

function jumpTableOf(this: Interpreter, code: Uint8Array): JumpTable {
  let known = tables.get(this._evm);
  if (known === undefined) {
    known = new WeakMap();
    tables.set(this._evm, known);
  }
  let table = known.get(code);
  if (table === undefined) {
    table = findJumps(this, code);
    known.set(code, table);
  }
  return table;
}

function findJumps(interpreter: Interpreter, code: Uint8Array): JumpTable {
  const jumps = new Uint8Array(code.length);
  const opcodesCached = new Array<unknown>(code.length);
  for (let at = 0; at < code.length; at++) {
    const opcode = code[at] ?? 0;
    opcodesCached[at] = interpreter.lookupOpInfo(opcode);
    if (opcode === JUMPDEST) jumps[at] = 1;
    else if (opcode >= PUSH1 && opcode <= PUSH32) at += opcode - PUSH1 + 1;
  }
  return { jumps, pushes: [], opcodesCached };
}

export async function installJumpTables(): Promise<void> {
  const prototype = await interpreterPrototype();
  assert('_getValidJumpDestinations' in prototype, 'the library looks for jumps where it did');
  Object.assign(prototype, { _getValidJumpDestinations: jumpTableOf });
}

/** The library does not export its interpreter, nor lets parts of it be set. */
export async function interpreterPrototype(): Promise<object> {
  const file = new URL('interpreter.js', import.meta.resolve('@ethereumjs/evm')).href;
  const { Interpreter } = (await import(file)) as { Interpreter: { prototype: object } };
  return Interpreter.prototype;
}
