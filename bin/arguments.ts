import { type Command, InvalidArgumentError } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, parseAddress } from '#src/types/address.ts';
import { parseAmount, type Wei } from '#src/types/units.ts';
import { type SettingName, settingHelp, settingNames } from './config.ts';

/** A whole number in decimal digits; `12abc` and `1e3` are not. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It should be a whole number from ${min} to ${max}.`);
  };
}

/** EIP-55: an address whose letters are mixed has to carry the right checksum. */
export function addressArgument(text: string, what: string): Address {
  const parsed = parseAddress(text);
  if (parsed.ok) return parsed.value;
  const hint =
    parsed.refusal.code === 'ADDRESS_CHECKSUM'
      ? `its checksum is wrong; a letter may be mistyped (EIP-55)`
      : 'it should be 0x and 40 hexadecimal digits';
  throw new UserError(EXIT.usage, `${what}: "${text.slice(0, 80)}" is not an address: ${hint}`);
}

/** MPB as people write it. */
export function amountArgument(text: string, what: string): Wei {
  const amount = parseAmount(text);
  if (amount.ok) return amount.value;
  const hint = 'should be digits with at most 18 decimals, like 12.50';
  throw new UserError(EXIT.usage, `${what}: "${text.slice(0, 80)}" ${hint}`);
}

/** Every setting as an option: `--rpc.port 8545`. */
export function addSettings(command: Command): Command {
  for (const name of settingNames) command.option(`--${name} <value>`, settingHelp(name));
  return command;
}

/** Those of them that were given. */
export function settingsOf(options: Readonly<Record<string, unknown>>): Map<SettingName, string> {
  const given = new Map<SettingName, string>();
  for (const name of settingNames) {
    const value = options[name];
    if (typeof value === 'string') given.set(name, value);
  }
  return given;
}
