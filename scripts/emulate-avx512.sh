#!/usr/bin/env bash
# Runs test programs on an emulated Ice Lake CPU, so that the AVX-512 code is executed as it is on a machine
# without AVX-512: Bochs boots a Linux kernel whose initial file system holds the program and its libraries.
# Booting takes 2 minutes, and programs run about 500 times slower than on the machine itself.
#   emulate-avx512.sh                       test_codec and test_kernels of build/release
#   emulate-avx512.sh PROGRAM [ARGUMENT...] prints what PROGRAM prints and exits with its status
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$root/build/emulation
megabytes=512

"$root/scripts/install-deps.sh" --list "$root/scripts/debian-packages-emulation.txt" emulation
mkdir -p "$work"

fetch_kernel() {
  [ ! -e "$work/vmlinuz" ] || return 0
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" { print $2; exit }')
  [ -n "$package" ] || { echo "emulate-avx512.sh: no package linux-image-cloud-amd64; run apt-get update" >&2; exit 1; }
  rm -rf "$work/kernel"
  mkdir -p "$work/kernel"
  (cd "$work/kernel" && apt-get -qq download "$package" 2> /dev/null && dpkg-deb -x ./*.deb .)
  mv "$work"/kernel/boot/vmlinuz-* "$work/vmlinuz"
  rm -rf "$work/kernel"
}

# make_image PROGRAM [ARGUMENT...]: a bootable CD that runs the program as its only process.
make_image() {
  local files=$work/files cd=$work/cd program
  program=$(realpath "$1")
  shift
  rm -rf "$files" "$cd"
  mkdir -p "$files"/{bin,dev,proc,tmp} "$cd"
  cp /bin/busybox "$files/bin/"
  cp "$program" "$files/program"
  { ldd "$program" 2> /dev/null || true; } | { grep -oE '/[^ ]+' || true; } | xargs -r cp -L --parents -t "$files"
  # Test data is looked for where the sources are.
  local data
  for data in "$root"/tests/{codec,kernels}/data; do
    [ ! -d "$data" ] || cp -r --parents -t "$files" "$data"
  done
  cat > "$files/init" << END
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
export HOME=/tmp TMPDIR=/tmp
cd /tmp
echo "@@ flags: \$(/bin/busybox grep -m 1 ^flags /proc/cpuinfo | /bin/busybox grep -oE 'avx512[a-z_0-9]*' | /bin/busybox xargs)"
echo "@@ begin"
/program $(printf '%q ' "$@")
echo "@@ exit \$?"
while :; do /bin/busybox sleep 1000; done
END
  chmod +x "$files/init"
  (cd "$files" && find . | /bin/busybox cpio -o -H newc 2> /dev/null) > "$cd/initrd"
  cp "$work/vmlinuz" /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$cd"
  # Bochs 2.7 reports an XSAVE area for protection keys that Linux finds inconsistent (it would turn off AVX),
  # and Linux loops in page faults with its PCID: both are left out.
  cat > "$cd/isolinux.cfg" << END
default test
prompt 0
timeout 1
label test
  kernel vmlinuz
  append initrd=initrd console=ttyS0,115200 quiet panic=-1 nokaslr nr_cpus=1 no_timer_check mitigations=off nopti nopcid noinvpcid nogbpages nosmap nosmep clearcpuid=pku,ospke,xsaves,xsavec,aperfmperf,pcid,invpcid,fsrm,erms random.trust_cpu=on lsm=capability
END
  xorriso -as mkisofs -quiet -o "$work/boot.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 \
    -boot-info-table "$cd" 2> /dev/null
}

# Prints the program's output as it comes; its exit status is the function's.
run_image() {
  cat > "$work/bochsrc" << END
display_library: sdl2
cpu: model=corei7_icelake_u, count=1, ips=10000000
megs: $megabytes
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$work/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial.txt
sound: driver=dummy
plugin_ctrl: speaker=0, parallel=0, gameport=0
log: $work/bochs.log
panic: action=fatal
clock: sync=none
END
  echo continue > "$work/commands"  # Debian's Bochs begins in its debugger
  : > "$work/serial.txt"
  SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy \
    bochs-bin -q -f "$work/bochsrc" -rc "$work/commands" < /dev/null > "$work/bochs.out" 2>&1 &
  emulator=$!
  trap 'kill "$emulator" 2> /dev/null || true' EXIT
  local line status=
  while read -r line; do
    line=${line%$'\r'}
    case $line in
      "@@ exit "*) status=${line#@@ exit }; break ;;
      *) echo "$line" ;;
    esac
  done < <(tail -n +1 -f --pid="$emulator" "$work/serial.txt")
  kill "$emulator" 2> /dev/null || true
  wait "$emulator" 2> /dev/null || true
  if [ -z "$status" ]; then
    echo "emulate-avx512.sh: the emulator ended early; see $work/bochs.log" >&2
    return 1
  fi
  return "$status"
}

fetch_kernel
if [ $# -gt 0 ]; then
  make_image "$@"
  run_image
else
  for test in test_codec test_kernels; do
    make_image "$root/build/release/tests/$test" --gtest_brief=1
    echo "== $test"
    run_image
  done
fi
