//! Datagrams that the kernel dropped before anybody could read them: Linux tells their number of each socket in `/proc`.

use std::os::fd::AsRawFd;

use tokio::net::UdpSocket;

/// Where sockets are listed, by the version of their addresses.
const TABLES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

/// The drops of one socket.
pub(super) struct Drops {
    /// What the tables call the socket.
    inode: Option<u64>,
    told: u64,
}

impl Drops {
    pub(super) fn of(socket: &UdpSocket) -> Self {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd()));
        let inode = link
            .ok()
            .and_then(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        Self { inode, told: 0 }
    }

    /// Those since the last look; none where it is not told.
    pub(super) fn more(&mut self) -> u64 {
        let Some(inode) = self.inode else { return 0 };
        let tables = TABLES.into_iter().filter_map(|table| std::fs::read_to_string(table).ok());
        let Some(all) = tables.into_iter().find_map(|table| drops(&table, inode)) else { return 0 };
        let more = all.saturating_sub(self.told);
        self.told = all;
        more
    }
}

/// The last column of the line whose tenth is the inode.
pub(super) fn drops(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(9);
        let found: u64 = columns.next()?.parse().ok()?;
        if found == inode { columns.last()?.parse().ok() } else { None }
    })
}
