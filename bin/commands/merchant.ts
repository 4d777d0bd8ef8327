import { Command } from 'commander';
import {
  bindChannelCommand,
  keyCommand,
  registerCommand,
  showCommand,
  signUpCommand,
} from './sales/merchants.ts';

export function merchantCommand(): Command {
  return new Command('merchant')
    .description('who sells: sign up, be registered by an acquirer, keys for orders')
    .addCommand(signUpCommand())
    .addCommand(registerCommand())
    .addCommand(keyCommand())
    .addCommand(bindChannelCommand())
    .addCommand(showCommand());
}
