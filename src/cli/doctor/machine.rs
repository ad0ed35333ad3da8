//! What the operating system has for a server: files, room, memory, a clock.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};

use crate::app::doctor::Finding;
use crate::config::Settings;
use crate::types::plain::counted;

/// Open files of everything but collections and connections, about.
const OWN_FILES: u64 = 256;
/// Connections that any server should have room for.
const CONNECTIONS: u64 = 1_024;
/// Room on the disk below which writes will soon be refused, bytes.
const SCARCE: u64 = 2 << 30;
/// Room below which they are about to be.
const NONE: u64 = 128 << 20;
/// Memory of a process before its first point, bytes.
const OWN_MEMORY: u64 = 150 << 20;
/// 2025-01-01, Unix seconds: nothing of this program is older.
const EARLIEST: u64 = 1_735_689_600;
/// File systems on which locks or `fsync` may not hold what they promise, and why.
const DOUBTFUL: [(&str, &str); 10] = [
    ("nfs", "locks and syncs go over a network"),
    ("nfs4", "locks and syncs go over a network"),
    ("cifs", "locks and syncs go over a network"),
    ("smb3", "locks and syncs go over a network"),
    ("9p", "syncs may not reach a disk"),
    ("virtiofs", "syncs may not reach a disk"),
    ("fuse", "syncs are as good as its driver"),
    ("overlay", "it goes with its container"),
    ("tmpfs", "it is gone after a restart of the machine"),
    ("ramfs", "it is gone after a restart of the machine"),
];

/// Looks at the machine.
pub(super) fn machine(settings: &Settings) -> Vec<Finding> {
    let data = existing(&settings.storage.data_dir);
    let mut found = vec![clock()];
    found.extend(space(&data));
    found.extend(file_system(&data));
    found.push(open_files(collections(settings)));
    found.extend(memory(settings));
    found
}

/// The folder itself, or the nearest one above that is there.
fn existing(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|one| one.exists());
    let there = there.filter(|one| !one.as_os_str().is_empty());
    let there = there.unwrap_or(Path::new("."));
    there.canonicalize().unwrap_or_else(|_| there.to_owned())
}

fn clock() -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    match now >= EARLIEST {
        true => Finding::ok("clock", "past the making of this program"),
        false => Finding::fail(
            "clock",
            format!("{now} seconds after 1970 is before this program was made"),
            "set the clock (timedatectl, chrony): certificates, budgets and expiry go by it",
        ),
    }
}

fn space(folder: &Path) -> Option<Finding> {
    let found = statvfs(folder).ok()?;
    Some(judge_space(
        found.f_bavail.saturating_mul(found.f_frsize),
        found.f_blocks.saturating_mul(found.f_frsize),
    ))
}

fn judge_space(free: u64, all: u64) -> Finding {
    const CHECK: &str = "disk space";
    let what = format!("{} free of {}", gib(free), gib(all));
    let fix = "make room, or set evidence.retain_days; writes that find none are refused with 503, nothing that was acknowledged is lost";
    if free < NONE {
        Finding::fail(CHECK, what, fix)
    } else if free < SCARCE || free < all / 20 {
        Finding::warn(CHECK, what, fix)
    } else {
        Finding::ok(CHECK, what)
    }
}

fn gib(bytes: u64) -> String {
    let tenths = bytes / ((1 << 30) / 10);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

fn file_system(folder: &Path) -> Option<Finding> {
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    Some(judge_mount(&mounts, folder))
}

/// Finds the mount that a folder is on: the longest of those above it, the last of equals.
fn judge_mount(mounts: &str, folder: &Path) -> Finding {
    const CHECK: &str = "file system";
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(place), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        let place = place.replace("\\040", " ");
        let longer = best.is_none_or(|(length, _)| place.len() >= length);
        if longer && folder.starts_with(&place) {
            best = Some((place.len(), kind));
        }
    }
    let kind = best.map_or("unknown", |(_, kind)| kind);
    let base = kind.split('.').next().unwrap_or(kind);
    match DOUBTFUL.iter().find(|(known, _)| *known == base) {
        Some((_, why)) => Finding::warn(
            CHECK,
            format!("the data folder is on {kind}: {why}"),
            "put it on a disk of this machine, or a volume; set storage.data_dir",
        ),
        None => Finding::ok(CHECK, kind),
    }
}

/// Collections on the disk, and the bytes of their snapshots: about what their points take in memory.
fn collections(settings: &Settings) -> (u64, u64) {
    let root = settings.storage.data_dir.join("collections");
    let (mut count, mut bytes) = (0, 0);
    for folder in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let Ok(files) = std::fs::read_dir(folder.path()) else {
            continue;
        };
        count += 1;
        for file in files.flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("snapshot-")
                || name.starts_with("wal-")
                || name.starts_with("graph-")
            {
                bytes += file.metadata().map_or(0, |found| found.len());
            }
        }
    }
    (count, bytes)
}

fn open_files((collections, _): (u64, u64)) -> Finding {
    let limit = getrlimit(Resource::Nofile).maximum;
    judge_files(limit.unwrap_or(u64::MAX), collections)
}

fn judge_files(limit: u64, collections: u64) -> Finding {
    const CHECK: &str = "open files";
    let least = OWN_FILES + 2 * collections;
    let what = format!(
        "at most {limit}; {} may hold {} open",
        counted(collections, "collection"),
        2 * collections
    );
    let fix =
        "raise it: LimitNOFILE= of systemd, --ulimit nofile= of docker, /etc/security/limits.conf";
    if limit < least {
        Finding::fail(CHECK, what, fix)
    } else if limit < least + CONNECTIONS {
        Finding::warn(CHECK, format!("{what}, and each connection one"), fix)
    } else {
        Finding::ok(CHECK, what)
    }
}

fn memory(settings: &Settings) -> Option<Finding> {
    let (_, points) = collections(settings);
    let all = std::fs::read_to_string("/proc/meminfo").ok();
    let all = all.as_deref().and_then(total_memory)?;
    // Of the container or the unit, where there is one.
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|limit| limit.trim().parse().ok());
    let cache = settings.embedding.cache_bytes;
    Some(judge_memory(
        all.min(limit.unwrap_or(u64::MAX)),
        points,
        cache,
    ))
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}

fn judge_memory(all: u64, points: u64, cache: u64) -> Finding {
    const CHECK: &str = "memory";
    let wanted = OWN_MEMORY + points + cache;
    let what = format!(
        "{}; points on the disk {}, the full embedding cache {}",
        gib(all),
        gib(points),
        gib(cache)
    );
    let fix = "more memory, fewer points, or a smaller embedding.cache_bytes; running out ends the process";
    if points > all {
        Finding::fail(CHECK, what, fix)
    } else if wanted > all / 10 * 8 {
        Finding::warn(CHECK, what, fix)
    } else {
        Finding::ok(CHECK, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Level;

    const GIB: u64 = 1 << 30;

    #[test]
    fn what_is_scarce_is_told() {
        for (free, all, level) in [
            (100 * GIB, 200 * GIB, Level::Ok),
            (GIB, 10 * GIB, Level::Warn),
            (4 * GIB, 200 * GIB, Level::Warn),
            (1 << 20, 200 * GIB, Level::Fail),
        ] {
            assert_eq!(judge_space(free, all).level, level, "{free} of {all}");
        }
        for (limit, collections, level) in [
            (1_048_576, 1_000, Level::Ok),
            (1_024, 10, Level::Warn),
            (1_024, 1_000, Level::Fail),
        ] {
            assert_eq!(judge_files(limit, collections).level, level, "{limit}");
        }
        for (all, points, level) in [
            (8 * GIB, GIB, Level::Ok),
            (2 * GIB, GIB + GIB / 2, Level::Warn),
            (GIB, 2 * GIB, Level::Fail),
        ] {
            assert_eq!(judge_memory(all, points, 256 << 20).level, level, "{all}");
        }
        let meminfo = "MemTotal:        8148204 kB\nMemFree:  1 kB\n";
        assert_eq!(total_memory(meminfo), Some(8_148_204 * 1_024));
        assert_eq!(total_memory("nothing"), None);
    }

    #[test]
    fn the_mount_nearest_above_counts() {
        let mounts = "/dev/sda / ext4 rw 0 0\nhost:/x /srv nfs4 rw 0 0\ntmpfs /srv/my\\040data tmpfs rw 0 0\n/dev/sdb /srv/disk ext4 rw 0 0\n";
        for (folder, level, says) in [
            ("/var/lib/boathouse", Level::Ok, "ext4"),
            ("/srv/house", Level::Warn, "nfs4"),
            ("/srv/my data/x", Level::Warn, "tmpfs"),
            ("/srv/disk/x", Level::Ok, "ext4"),
            ("/srvx", Level::Ok, "ext4"),
        ] {
            let found = judge_mount(mounts, Path::new(folder));
            assert_eq!(found.level, level, "{folder}");
            assert!(found.what.contains(says), "{found:?}");
        }
    }

    #[test]
    fn this_machine_is_looked_at_without_a_data_folder() {
        let mut settings = Settings::default();
        settings.storage.data_dir = "/nonexistent/data".into();
        let found = machine(&settings);
        assert!(
            found
                .iter()
                .any(|one| one.check == "clock" && one.level == Level::Ok)
        );
        assert!(found.iter().any(|one| one.check == "open files"));
    }
}
