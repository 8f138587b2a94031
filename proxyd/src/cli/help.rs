//! What `help` lists: every command that works.

/// The answer to `help`, with the commands that begin with these words.
pub(super) fn list(words: &[&str]) -> String {
    let begun = words.join(" ");
    let lines = COMMANDS.iter().filter(|line| line.starts_with(&begun));
    lines.flat_map(|line| ["  ", line, "\n"]).collect()
}

#[rustfmt::skip]
const COMMANDS: &[&str] = &[
    "add acl [@<ver>] <acl> <pattern>        : add a pattern to a file of an ACL",
    "add map [@<ver>] <map> <key> <value>    : add a line to a map (payload supported instead of key and value)",
    "clear acl [@<ver>] <acl>                : remove all patterns of a file",
    "clear counters [all]                    : forget the highest values of the statistics, or all",
    "clear map [@<ver>] <map>                : remove all lines of a map",
    "clear table <table> [<filter>]*         : remove entries of a stick table",
    "commit acl @<ver> <acl>                 : put a version of the patterns of a file in force",
    "commit map @<ver> <map>                 : put a version of a map in force",
    "del acl <acl> [<pattern>|#<ref>]        : remove a pattern",
    "del map <map> [<key>|#<ref>]            : remove a line of a map",
    "disable agent <srv>                     : disable agent checks",
    "disable dynamic-cookie backend <bk>     : disable dynamic cookies on a specific backend",
    "disable frontend <frontend>             : let a frontend accept no connections for a while",
    "disable health <srv>                    : disable health checks",
    "disable server <srv>                    : put a server into maintenance",
    "echo <words>                            : repeat the words",
    "enable agent <srv>                      : enable agent checks",
    "enable dynamic-cookie backend <bk>      : enable dynamic cookies on a specific backend",
    "enable frontend <frontend>              : let a frontend accept connections again",
    "enable health <srv>                     : enable health checks",
    "enable server <srv>                     : take a server out of maintenance",
    "experimental-mode [on|off]              : allow commands that may change",
    "expert-mode [on|off]                    : allow commands for developers",
    "get acl <acl> <value>                   : tell which pattern a value matches",
    "get map <map> <value>                   : look a value up in a map",
    "get var <name>                          : tell the value of a variable of the process",
    "get weight <srv>                        : report a server's weight",
    "help [<command>]                        : list all commands, or those that begin so",
    "operator                                : lower what may be done here to what operators may",
    "prepare acl <acl>                       : begin a new version of the patterns of a file",
    "prepare map <map>                       : begin a new version of a map",
    "prompt                                  : toggle interactive mode with prompt",
    "publish backend <bk>                    : make a backend one that rules choose",
    "quit                                    : disconnect",
    "set dynamic-cookie-key backend <bk> <k> : change a backend secret key for dynamic cookies",
    "set map <map> [<key>|#<ref>] <value>    : change a value of a map",
    "set maxconn frontend <fe> <limit>       : change a frontend's limit",
    "set maxconn global <limit>              : change the limit of the process",
    "set maxconn server <srv> <limit>        : change a server's limit",
    "set rate-limit <what> global <value>    : change how many connections or sessions a second may begin",
    "set server <srv> <what> [args]          : change a server's state, weight, address or ssl",
    "set severity-output none|number|string  : tell what kind each answer is, on this connection",
    "set table <table> key <k> [data.* <v>]* : update or create an entry of a stick table",
    "set timeout cli <delay>                 : how long this connection may be silent",
    "set var <name> [expr|fmt] <value>       : set a variable of the process",
    "set weight <srv> <weight>[%]            : change a server's weight",
    "show acl [@<ver>] [<acl>]               : list the files of ACLs, or the patterns of one",
    "show backend                            : list the backends",
    "show cli level                          : tell what may be done on this socket",
    "show cli sockets                        : list the runtime sockets",
    "show env [<var>]                        : show the process's environment",
    "show errors [<px>] [request|response]   : show the last messages of each proxy that were none",
    "show events [<sink> [-w] [-n] [-0]]     : list the rings, or the messages of one",
    "show info                               : report information about the running process",
    "show map [@<ver>] [<map>]               : list the maps, or the lines of one",
    "show resolvers [id]                     : dumps counters from all resolvers section and associated name servers",
    "show servers conn [<backend>]           : dump connections of servers",
    "show servers state [<backend>]          : dump states of servers",
    "show sess [<id>|all]                    : list the sessions, or everything about one or all of them",
    "show startup-logs                       : what was said about the configuration when it was read",
    "show stat [<iid|proxy> <type> <sid>]    : report counters for each proxy and server",
    "show table [<table> [<filter>]*]        : list stick tables, or the entries of one",
    "show version                            : show the version of the process",
    "shutdown frontend <frontend>            : close a frontend for good",
    "shutdown session <id>                   : end a session",
    "shutdown sessions server <srv>          : end all sessions of a server",
    "unpublish backend <bk>                  : make a backend one that rules pass over",
    "user                                    : lower what may be done here to what users may",
    "wait <delay>                            : wait so many milliseconds",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sorted_and_found_by_their_beginning() {
        assert!(COMMANDS.is_sorted());
        assert!(COMMANDS.iter().all(|line| line.get(39..42) == Some(" : ")));
        assert_eq!(list(&[]).lines().count(), COMMANDS.len());
        assert!(list(&["show", "cli"]).starts_with("  show cli level "));
        assert_eq!(list(&["nonsense"]), "");
    }
}
