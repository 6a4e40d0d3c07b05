#include "sim/base/sha256.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

/// Closes a descriptor at the end.
struct File {
  explicit File(int opened) : descriptor(opened) {}
  ~File() {
    if (descriptor >= 0) {
      close(descriptor);
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int descriptor;
};

}  // namespace

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  KVR_CHECK(state_->context && EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1,
            "libcrypto has no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  const int status = EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size());
  KVR_CHECK(status == 1, "EVP_DigestUpdate of {} bytes", bytes.size());
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  const int status = EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr);
  KVR_CHECK(status == 1, "EVP_DigestFinal_ex");
  std::string text;
  for (const unsigned char byte : digest) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

std::string sha256_of_file(const std::filesystem::path& path) {
  const auto fail = [&path] {
    throw SystemError(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
  };
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.descriptor < 0) {
    fail();
  }
  Sha256 hash;
  std::vector<std::byte> block(1 << 16);
  for (;;) {
    const ssize_t count = read(file.descriptor, block.data(), block.size());
    if (count > 0) {
      hash.update(std::span(block).first(static_cast<std::size_t>(count)));
    } else if (count == 0) {
      return hash.hex();
    } else if (errno != EINTR) {
      fail();
    }
  }
}

}  // namespace kvr
